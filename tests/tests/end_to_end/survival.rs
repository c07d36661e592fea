//! Places outlive the queue's store.

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueSettings, RESTORE_QUIET};
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, next_status, reason};
use encore_tests::world::{World, until};
use futures::future::join_all;

/// Two inside, the rest waiting.
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
        fan.join(performance).await.expect("a place");
        queue.push(fan);
    }
    (inside, queue)
}

async fn position(fan: &Fan) -> Option<u64> {
    if let Ok(QueueStatus::Waiting(told)) = fan.position().await { Some(told.position) } else { None }
}

/// What the queue has come to is kept about once a second, in real time.
async fn until_kept(world: &World, performance: PerformanceId, tail: u64) {
    until("the record of the queue", || async {
        let record = world.ports.queue_records.find(performance).await.expect("Postgres is there");
        record.is_some_and(|record| record.lanes[0].tail == tail && record.inside.len() == 2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_costs_nobody_a_place_a_turn_or_an_admission() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (inside, waiting) = queue(&world, performance, 6).await;
    waiting[1].leave().await.expect("left");
    until_kept(&world, performance, 8).await;
    let mut streams = join_all(waiting.iter().filter(|fan| fan.user != waiting[1].user).map(Fan::watch)).await;
    let mut last = streams.pop().expect("a stream").expect("a stream");
    assert!(matches!(next_status(&mut last).await, QueueStatus::Waiting(told) if told.position == 5));

    world.lose_queue(performance).await;

    // Positions on open streams never grow, and end at what they were.
    for (fan, expected) in waiting.iter().zip([Some(1), None, Some(2), Some(3), Some(4), Some(5)]) {
        if expected.is_some() {
            until("the place again", || async { position(fan).await == expected }).await;
        }
    }
    for fan in &inside {
        assert!(matches!(fan.position().await, Ok(QueueStatus::Admitted(_))), "who was inside is inside");
        fan.seats(performance).await.expect("and may go on");
    }
    let mut newcomer = world.fan(0).await;
    let number = newcomer.join(performance).await.expect("a place");
    assert!(number > 8, "no number is given twice: {number}");
    assert_eq!(position(&newcomer).await, Some(6), "behind everybody who was there");

    inside[0].leave().await.expect("left");
    until("the first to be called", || async { matches!(waiting[0].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;
    for fan in [&waiting[2], &waiting[3], &newcomer] {
        assert!(position(fan).await.is_some(), "nobody else");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_admitted_just_before_the_loss_shows_it_and_who_paid_is_not_in_again() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (mut buyer, mut other) = (world.fan(0).await, world.fan(1).await);
    buyer.join(performance).await.expect("a place");
    let at_the_join = buyer.queue_token.clone();
    buyer.wait().await.expect("admitted");
    buyer.top_up(50_000).await.expect("a credit");
    let hold = buyer.hold(performance, &["S-A-1"]).await.expect("a hold");
    buyer.pay(&hold.reservation_id).await.expect("paid");
    other.enter(performance).await.expect("admitted");

    // Whether or not the record knows of them, and although seats and queue are lost.
    world.lose_redis().await;

    other.hold(performance, &["S-A-2"]).await.expect("still inside");
    for token in [&buyer.queue_token, &at_the_join] {
        let again = buyer.showing(token);
        let status = again.position().await.expect("a status");
        assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Used), "{status:?}");
        assert_eq!(reason(&again.hold(performance, &["S-A-3"]).await.expect_err("used")), "QUEUE_TOKEN_ENDED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_late_is_called_before_those_behind() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(two_inside())).await;
    let (inside, waiting) = queue(&world, performance, 3).await;
    until_kept(&world, performance, 5).await;
    let streams = join_all([&waiting[1], &waiting[2]].map(Fan::watch)).await;
    world.lose_queue(performance).await;
    until("the others", || async { position(&waiting[2]).await == Some(2) }).await;
    inside[0].leave().await.expect("left");
    until("the second to be called", || async { matches!(waiting[1].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;

    // It is lost again, when the first was passed over and has still not shown the place.
    until("the record of the second", || async {
        let record = world.ports.queue_records.find(performance).await.expect("Postgres is there");
        record.is_some_and(|record| record.inside.iter().any(|inside| inside.lane_number.number == 4))
    })
    .await;
    world.lose_queue(performance).await;
    until("the second still inside", || async { matches!(waiting[1].position().await, Ok(QueueStatus::Admitted(_))) })
        .await;

    // The first was ahead of both, and shows it only now.
    assert_eq!(position(&waiting[0]).await, Some(1));
    until("the third to move back in the count", || async { position(&waiting[2]).await == Some(2) }).await;
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
    until("the queue in place again", || async { moved(&inside[0]).position().await.is_ok() }).await;
    world.clock.advance(RESTORE_QUIET);
    let status = moved(&inside[0]).position().await.expect("a status");
    assert!(matches!(status, QueueStatus::Admitted(_)), "{status:?}");
    for (fan, expected) in waiting.iter().zip(1..) {
        until("the place", || async { position(&moved(fan)).await == Some(expected) }).await;
    }
}
