//! The queue: positions, presence and admission.

use std::time::Duration;

use encore_domain::queue::{QueueRate, QueueSettings, QueueTokenPayload};
use encore_domain::time::Timestamp;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::queue::v1::{EndReason, LeaveQueueRequest, WatchPositionResponse};
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::world::{World, until};
use futures::future::join_all;
use tonic::{Code, Streaming};

/// Settings for one active fan. All others wait.
fn slow() -> QueueSettings {
    let rate = QueueRate { admissions: 1, period: Duration::from_secs(10) };
    QueueSettings { rate, batch: 1, ..QueueSettings::default() }
}

async fn next(frames: &mut Streaming<WatchPositionResponse>) -> QueueStatus {
    let frame = frames.message().await.expect("a frame").expect("the stream goes on");
    frame.status.and_then(|status| status.status).expect("a status")
}

fn position(status: &QueueStatus) -> Option<u64> {
    if let QueueStatus::Waiting(waiting) = status { Some(waiting.position) } else { None }
}

/// Four fans in a queue: the first is active, the others are at positions 1, 2 and 3.
async fn three_waiting(world: &World) -> (Fan, Vec<Fan>) {
    let performance = world.performance(Some(slow())).await;
    let mut first = world.fan(0).await;
    first.enter(performance).await.expect("admitted");
    let mut waiting = Vec::new();
    for turn in 0..3 {
        let mut fan = world.fan(turn).await;
        fan.join(performance).await.expect("a queue token");
        waiting.push(fan);
    }
    (first, waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_fall_as_others_leave_and_are_admitted_in_order() {
    let world = World::durable(2).await;
    let (_inside, waiting) = three_waiting(&world).await;
    let mut streams = join_all(waiting.iter().map(Fan::watch)).await.into_iter().map(|it| it.expect("a stream"));
    let (mut first, mut second, mut third) =
        (streams.next().unwrap(), streams.next().unwrap(), streams.next().unwrap());
    assert_eq!(position(&next(&mut first).await), Some(1));
    assert_eq!(position(&next(&mut second).await), Some(2));
    assert_eq!(position(&next(&mut third).await), Some(3));

    let leave = LeaveQueueRequest { request_id: String::new(), queue_token: waiting[1].queue_token.clone() };
    let left = waiting[1].queue().leave_queue(waiting[1].request(leave.clone())).await.expect("left").into_inner();
    assert_eq!(left.reason(), EndReason::Left);
    let again = waiting[1].queue().leave_queue(waiting[1].request(leave)).await.expect("left before").into_inner();
    assert_eq!(again.reason(), EndReason::Left);
    // A frame that counts those who joined last may come before.
    let ended = loop {
        if let QueueStatus::Ended(ended) = next(&mut second).await {
            break ended;
        }
    };
    assert_eq!(ended.reason(), EndReason::Left);
    assert!(second.message().await.expect("a clean end").is_none(), "nothing comes after the end");
    while position(&next(&mut third).await) != Some(2) {}

    world.clock.advance(Duration::from_secs(10));
    while !matches!(next(&mut first).await, QueueStatus::Admitted(_)) {}
    while position(&next(&mut third).await) != Some(1) {}
    world.clock.advance(Duration::from_secs(10));
    while !matches!(next(&mut third).await, QueueStatus::Admitted(_)) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_valid_on_another_instance() {
    let world = World::durable(2).await;
    let (_inside, waiting) = three_waiting(&world).await;
    let fan = &waiting[2];
    let mut frames = fan.watch().await.expect("a stream");
    assert_eq!(position(&next(&mut frames).await), Some(3));
    drop(frames);
    let mut frames = fan.on(world.channel(1)).watch().await.expect("a stream");
    assert_eq!(position(&next(&mut frames).await), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_absent_for_longer_than_the_grace_is_abandoned() {
    let world = World::durable(2).await;
    let settings = QueueSettings { grace: Duration::from_secs(40), paused: true, ..slow() };
    let performance = world.performance(Some(settings)).await;
    let (mut away, mut there) = (world.fan(0).await, world.fan(1).await);
    away.join(performance).await.expect("a queue token");
    there.join(performance).await.expect("a queue token");
    let mut frames = there.watch().await.expect("a stream");
    assert_eq!(position(&next(&mut frames).await), Some(2));

    // The clock advances in steps that are short compared to the grace, so that the present fan is seen in every
    // period.
    until("the present fan at the first position", || async {
        world.clock.advance(Duration::from_millis(200));
        matches!(there.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.position == 1)
    })
    .await;

    // The replica of the other instance may be one tick old.
    let is_over = |status| matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Abandoned);
    until("an abandoned token", || async { away.position().await.is_ok_and(is_over) }).await;
    away.join(performance).await.expect("a new token");
    assert_eq!(position(&away.position().await.expect("a status")), Some(2), "at the end of the queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_has_one_token_per_performance() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(slow())).await;
    let fan = world.fan(0).await;
    let numbers = join_all((0..20).map(|turn| {
        let mut fan = fan.on(world.channel(turn));
        async move { fan.join(performance).await.expect("a number") }
    }))
    .await;
    assert!(numbers.iter().all(|number| *number == 1), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_max_active_fans_are_called_or_active() {
    let world = World::durable(2).await;
    let settings = QueueSettings { max_active: 5, ..QueueSettings::default() };
    let performance = world.performance(Some(settings)).await;
    let mut fans = join_all((0..40).map(|turn| world.fan(turn))).await;
    join_all(fans.iter_mut().map(|fan| fan.join(performance))).await;
    let streams = join_all(fans.iter().map(Fan::watch)).await;
    let statuses = || async {
        let statuses = join_all(fans.iter().map(Fan::position)).await;
        statuses.into_iter().filter(|status| matches!(status, Ok(QueueStatus::Admitted(_)))).count()
    };
    until("five admitted fans", || async { statuses().await == 5 }).await;
    world.clock.advance(Duration::from_secs(20));
    for _ in 0..20 {
        assert_eq!(statuses().await, 5);
    }
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_streams_with_a_retryable_status() {
    let world = World::durable(2).await;
    let (_inside, waiting) = three_waiting(&world).await;
    let fan = waiting[1].on(world.channel(0));
    let mut frames = fan.watch().await.expect("a stream");
    assert_eq!(position(&next(&mut frames).await), Some(2));

    world.instances[0].shut_down();

    let farewell = loop {
        match frames.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!((farewell.code(), reason(&farewell).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    let mut frames = fan.on(world.channel(1)).watch().await.expect("a stream elsewhere");
    assert_eq!(position(&next(&mut frames).await), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_requires_an_open_sale_and_a_queue() {
    let world = World::durable(2).await;
    let without_queue = world.performance(None).await;
    let later = world
        .performance_with(Some(slow()), |mut performance| {
            performance.on_sale.opens_at += Duration::from_hours(1);
            performance
        })
        .await;
    let mut fan = world.fan(0).await;
    assert_eq!(reason(&fan.join(without_queue).await.expect_err("no queue")), "NO_QUEUE");
    assert_eq!(reason(&fan.join(later).await.expect_err("not open")), "SALE_NOT_OPEN");
    assert_eq!(reason(&fan.hold(later, &["S-A-1"]).await.expect_err("not open")), "SALE_NOT_OPEN");
    let without_token = fan.showing("");
    assert_eq!(reason(&without_token.hold(later, &["S-A-1"]).await.expect_err("not open")), "SALE_NOT_OPEN");
    world.clock.advance(Duration::from_hours(1));
    fan.enter(later).await.expect("open now");
    world.clock.advance(Duration::from_hours(24));
    assert_eq!(reason(&fan.join(later).await.expect_err("over")), "SALE_CLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_belongs_to_one_queue() {
    for world in [World::durable(2).await, World::embedded().await] {
        let (here, there) = (world.performance(Some(slow())).await, world.performance(Some(slow())).await);
        let fan = world.fan(0).await;
        let id = request_id();
        let first = fan.join_as(&id, here, "").await.expect("a queue token");
        let again = fan.on(world.channel(1)).join_as(&id, here, "").await.expect("the same token");
        assert_eq!((&first.queue_token, first.join_index), (&again.queue_token, again.join_index));
        let refusal = fan.join_as(&id, here, "a grant").await.expect_err("another body");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
        let refusal = fan.showing(&first.queue_token).leave_as(&id).await.expect_err("another RPC");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
        let elsewhere = fan.join_as(&id, there, "").await.expect("another queue, another request");
        assert_ne!(elsewhere.queue_token, first.queue_token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_who_joins_a_recreated_queue_has_a_status_at_once() {
    let world = World::durable(2).await;
    for _ in 0..5 {
        let performance = world.performance(Some(slow())).await;
        // A fan of an earlier epoch keeps polling, so that the instance has a fresh replica without the newcomer.
        let old = world.fan(0).await;
        let payload = QueueTokenPayload {
            performance,
            user: old.user,
            epoch: 1,
            lane: 0,
            index: 1,
            issued_at: Timestamp::UNIX_EPOCH,
            needs_accessible: false,
            admitted_until: None,
        };
        let old = old.showing(&world.ports.queue_tokens.sign(&payload));
        let lost = old.position().await.expect("a status");
        assert!(matches!(lost, QueueStatus::Ended(ended) if ended.reason() == EndReason::Reset), "{lost:?}");

        let mut newcomer = world.fan(0).await;
        newcomer.join(performance).await.expect("a queue token");
        let status = newcomer.position().await.expect("a status at once");
        assert!(matches!(status, QueueStatus::Waiting(_) | QueueStatus::Admitted(_)), "{status:?}");
    }
}
