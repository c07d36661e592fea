//! Queue tokens survive the loss of the queue's store.

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueSettings, RESTORE_QUIET};
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, next_status, reason};
use encore_tests::world::{World, until};
use futures::future::join_all;

/// Settings for two active fans. All others wait.
fn two_inside() -> QueueSettings {
    QueueSettings { max_active: 2, ..QueueSettings::default() }
}

async fn queue(world: &World, performance: PerformanceId, waiting: usize) -> (Vec<Fan>, Vec<Fan>) {
    let mut inside = Vec::new();
    for turn in 0..2 {
        let mut fan = world.fan(turn).await;
        fan.enter(performance).await.expect("admitted");
        inside.push(fan);
    }
    let mut queue = Vec::new();
    for turn in 0..waiting {
        let mut fan = world.fan(turn).await;
        fan.join(performance).await.expect("a queue token");
        queue.push(fan);
    }
    (inside, queue)
}

async fn position(fan: &Fan) -> Option<u64> {
    if let Ok(QueueStatus::Waiting(waiting)) = fan.position().await { Some(waiting.position) } else { None }
}

/// Waits for the next record of the queue, which is kept once a second in real time.
async fn until_kept(world: &World, performance: PerformanceId, tail: u64) {
    until("the record of the queue", || async {
        let record = world.ports.queue_records.find(performance).await.expect("Postgres is available");
        record.is_some_and(|record| record.lanes[0].tail == tail && record.inside.len() == 2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_redis_loses_no_token_position_or_admission() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (inside, waiting) = queue(&world, performance, 6).await;
    waiting[1].leave().await.expect("left");
    until_kept(&world, performance, 8).await;
    let mut streams = join_all(waiting.iter().filter(|fan| fan.user != waiting[1].user).map(Fan::watch)).await;
    let mut last = streams.pop().expect("a stream").expect("a stream");
    assert!(matches!(next_status(&mut last).await, QueueStatus::Waiting(waiting) if waiting.position == 5));

    world.lose_queue(performance).await;

    // Positions on open streams never grow, and return to their old values.
    for (fan, expected) in waiting.iter().zip([Some(1), None, Some(2), Some(3), Some(4), Some(5)]) {
        if expected.is_some() {
            until("the old position", || async { position(fan).await == expected }).await;
        }
    }
    for fan in &inside {
        assert!(matches!(fan.position().await, Ok(QueueStatus::Admitted(_))), "an admitted fan stays admitted");
        fan.seats(performance).await.expect("an admitted fan is authorized");
    }
    let mut newcomer = world.fan(0).await;
    let number = newcomer.join(performance).await.expect("a number");
    assert!(number > 8, "no number is given twice: {number}");
    assert_eq!(position(&newcomer).await, Some(6), "behind all earlier numbers");

    inside[0].leave().await.expect("left");
    until("the first to be called", || async { matches!(waiting[0].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;
    for fan in [&waiting[2], &waiting[3], &newcomer] {
        assert!(position(fan).await.is_some(), "no other fan is called");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unrecorded_admissions_survive_a_loss_and_used_tokens_stay_ended() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (mut buyer, mut other) = (world.fan(0).await, world.fan(1).await);
    buyer.join(performance).await.expect("a queue token");
    let at_the_join = buyer.queue_token.clone();
    buyer.wait().await.expect("admitted");
    buyer.top_up(50_000).await.expect("a credit");
    let hold = buyer.hold(performance, &["S-A-1"]).await.expect("a hold");
    buyer.pay(&hold.reservation_id).await.expect("paid");
    other.enter(performance).await.expect("admitted");

    // The record may or may not contain these admissions. Seats and queue are lost.
    world.lose_redis().await;

    other.hold(performance, &["S-A-2"]).await.expect("still active");
    for token in [&buyer.queue_token, &at_the_join] {
        let again = buyer.showing(token);
        let status = again.position().await.expect("a status");
        assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Used), "{status:?}");
        assert_eq!(reason(&again.hold(performance, &["S-A-3"]).await.expect_err("used")), "QUEUE_TOKEN_ENDED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_who_returns_late_is_called_before_later_numbers() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (inside, waiting) = queue(&world, performance, 3).await;
    until_kept(&world, performance, 5).await;
    let streams = join_all([&waiting[1], &waiting[2]].map(Fan::watch)).await;
    world.lose_queue(performance).await;
    until("the position of the third fan", || async { position(&waiting[2]).await == Some(2) }).await;
    inside[0].leave().await.expect("left");
    until("the second to be called", || async { matches!(waiting[1].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;

    // The queue is lost again. The first fan was passed over and has still not shown the token.
    until("the record of the second", || async {
        let record = world.ports.queue_records.find(performance).await.expect("Postgres is available");
        record.is_some_and(|record| record.inside.iter().any(|inside| inside.lane_number.number == 4))
    })
    .await;
    world.lose_queue(performance).await;
    until("the second fan still active", || async {
        matches!(waiting[1].position().await, Ok(QueueStatus::Admitted(_)))
    })
    .await;

    // The first fan was ahead of both, and shows the token only now.
    assert_eq!(position(&waiting[0]).await, Some(1));
    until("the third fan one position further back", || async { position(&waiting[2]).await == Some(2) }).await;
    inside[1].leave().await.expect("left");
    until("the first to be called", || async { matches!(waiting[0].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;
    assert_eq!(position(&waiting[2]).await, Some(1));
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_a_process_that_ended_is_restored_from_its_tokens() {
    let world = World::without_redis().await;
    let performance = world.performance(Some(two_inside())).await;
    let (inside, waiting) = queue(&world, performance, 3).await;
    until_kept(&world, performance, 5).await;

    let successor = world.successor().await;

    let moved = |fan: &Fan| fan.on(&successor.channel);
    until("the restored queue", || async { moved(&inside[0]).position().await.is_ok() }).await;
    world.clock.advance(RESTORE_QUIET);
    let status = moved(&inside[0]).position().await.expect("a status");
    assert!(matches!(status, QueueStatus::Admitted(_)), "{status:?}");
    for (fan, expected) in waiting.iter().zip(1..) {
        until("the old position", || async { position(&moved(fan)).await == Some(expected) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_stays_out_after_a_loss() {
    let world = World::durable(2).await;
    let one_inside = QueueSettings { max_active: 1, ..QueueSettings::default() };
    let performance = world.performance(Some(one_inside)).await;
    let (mut first, mut second) = (world.fan(0).await, world.fan(1).await);
    first.enter(performance).await.expect("admitted");
    first.leave().await.expect("left");
    second.enter(performance).await.expect("admitted after the first left");

    world.lose_queue(performance).await;

    let status = first.position().await.expect("a status");
    assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Left), "{status:?}");
    let refused = first.hold(performance, &["S-A-1"]).await.expect_err("the first has left");
    assert_eq!(reason(&refused), "QUEUE_TOKEN_ENDED");
    second.hold(performance, &["S-A-1"]).await.expect("the second is still active");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_and_joined_again_does_not_get_the_old_position_back() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings { paused: true, ..QueueSettings::default() })).await;
    let mut fans = Vec::new();
    for turn in 0..3 {
        let mut fan = world.fan(turn).await;
        fan.join(performance).await.expect("a queue token");
        fans.push(fan);
    }
    let old_token = fans[0].queue_token.clone();
    fans[0].leave().await.expect("left");
    fans[0].join(performance).await.expect("a new token");

    world.lose_queue(performance).await;

    let old = fans[0].showing(&old_token);
    let status = old.position().await.expect("a status");
    assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Left), "{status:?}");
    for (fan, expected) in [(&fans[1], 1), (&fans[2], 2), (&fans[0], 3)] {
        until("the position", || async { position(fan).await == Some(expected) }).await;
    }
}
