//! The draw of the pre-queue.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{DRAW_KEY_BYTES, Draw, DrawKey, QueueSettings};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::queue::v1::{EndReason, GetDrawRequest, GetDrawResponse, JoinQueueResponse};
use encore_tests::fan::{Fan, next_status, reason, request_id};
use encore_tests::world::{World, until};
use tonic::Status;

const OPENS_IN: Duration = Duration::from_mins(10);
const KEY: DrawKey = DrawKey([9; DRAW_KEY_BYTES]);

async fn draw(fan: &Fan, performance: PerformanceId) -> Result<GetDrawResponse, Status> {
    let anonymous = Fan { access_token: String::new(), ..fan.clone() };
    let message = GetDrawRequest { performance_id: performance.to_string() };
    Ok(anonymous.queue().get_draw(anonymous.request(message)).await?.into_inner())
}

/// Settings without admission, so that positions do not change.
fn still() -> QueueSettings {
    QueueSettings { paused: true, ..QueueSettings::default() }
}

fn is_pre_queued(joined: &JoinQueueResponse) -> bool {
    let status = joined.status.as_ref().and_then(|status| status.status.as_ref());
    matches!(status.expect("a status"), QueueStatus::PreQueued(_))
}

async fn pre_queued(world: &World, performance: PerformanceId, count: usize) -> Vec<Fan> {
    let mut fans = Vec::new();
    for turn in 0..count {
        let mut fan = world.fan(turn).await;
        let joined = fan.join_with(performance, "").await.expect("a queue token");
        assert_eq!((joined.join_index, is_pre_queued(&joined)), (turn as u64 + 1, true));
        fans.push(fan);
    }
    fans
}

#[tokio::test(flavor = "multi_thread")]
async fn fans_of_the_pre_queue_draw_verifiable_numbers() {
    let world = World::durable(2).await;
    let performance = world.drawn_performance(still(), OPENS_IN).await;
    let fans = pre_queued(&world, performance, 12).await;
    let mut frames = fans[0].watch().await.expect("a stream");
    // The first frame may be from a view that is a moment old, but a later one counts everybody.
    while !matches!(next_status(&mut frames).await, QueueStatus::PreQueued(pre_queued) if pre_queued.people_waiting == 12)
    {
    }
    fans[4].leave().await.expect("left");
    let before = draw(&fans[0], performance).await.expect("a commitment");
    assert_eq!((before.key_sha256.as_slice(), before.key.len(), before.lanes.len()), (&KEY.commitment()[..], 0, 0));

    world.clock.advance(OPENS_IN);
    loop {
        if let QueueStatus::Waiting(_) = next_status(&mut frames).await {
            break;
        }
    }

    let after = draw(&fans[0], performance).await.expect("the draw");
    assert_eq!((after.key.as_slice(), after.lanes[0].joined), (&KEY.0[..], 12));
    let expected = Draw::new(KEY, 0, 12);
    assert_eq!(after.lanes[0].numbers_sha256, expected.digest());
    let gone = expected.number(5);
    for (index, fan) in (1..).zip(&fans).filter(|(index, _)| *index != 5) {
        let number = expected.number(index);
        let position = number - u64::from(number > gone);
        for turn in 0..2 {
            let status = fan.on(world.channel(turn)).position().await.expect("a status");
            let is_right = matches!(&status, QueueStatus::Waiting(waiting) if waiting.position == position);
            assert!(is_right, "{index}: {status:?}");
        }
    }
    let mut late = world.fan(1).await;
    let joined = late.join_with(performance, "").await.expect("a queue token");
    assert_eq!((joined.join_index, is_pre_queued(&joined)), (13, false));
    assert!(
        matches!(late.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.position == 12),
        "after all drawn numbers"
    );
    let mut again = fans[0].clone();
    assert_eq!(again.join(performance).await.expect("the same token"), 1);
    assert_eq!(again.queue_token, fans[0].queue_token);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_survive_the_loss_of_the_queue_before_and_after_the_draw() {
    let world = World::durable(2).await;
    let performance = world.drawn_performance(still(), OPENS_IN).await;
    let fans = pre_queued(&world, performance, 6).await;
    let streams = futures::future::join_all(fans.iter().map(Fan::watch)).await;
    world.lose_queue(performance).await;
    let known = async |fan: &Fan| matches!(fan.position().await, Ok(QueueStatus::PreQueued(pre_queued)) if pre_queued.people_waiting == 6);
    until("all six fans in the pre-queue again", || async { known(&fans[5]).await }).await;

    world.clock.advance(OPENS_IN);
    let positions = async || {
        let mut positions = Vec::new();
        for fan in &fans {
            let Ok(QueueStatus::Waiting(waiting)) = fan.position().await else { return Vec::new() };
            positions.push(waiting.position);
        }
        positions
    };
    until("numbers", || async { positions().await.len() == 6 }).await;
    let drawn = positions().await;
    let joined = draw(&fans[0], performance).await.expect("the draw").lanes[0].joined;
    assert_eq!(joined, 6, "each fan is counted once, whatever was lost");
    let numbers: Vec<u64> = (1..=6).map(|index| Draw::new(KEY, 0, joined).number(index)).collect();
    let order = |positions: &[u64]| {
        let mut fans: Vec<usize> = (0..6).collect();
        fans.sort_by_key(|fan| positions[*fan]);
        fans
    };
    assert_eq!(order(&drawn), order(&numbers));

    world.lose_queue(performance).await;
    until("the same numbers again", || async { positions().await == drawn }).await;
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_who_leaves_and_joins_again_has_one_index() {
    let world = World::durable(2).await;
    let performance = world.drawn_performance(still(), OPENS_IN).await;
    let fans = pre_queued(&world, performance, 3).await;
    let mut fan = fans[1].clone();
    let mut before = fan.clone();
    for turn in 0..10 {
        world.clock.advance(Duration::from_secs(1));
        let leave = request_id();
        assert_eq!(fan.leave_as(&leave).await.expect("left"), EndReason::Left);
        before = fan.clone();
        let joined = fan.on(world.channel(turn)).join_with(performance, "").await.expect("a queue token");
        assert_eq!(joined.join_index, 2);
        fan = fan.showing(&joined.queue_token);
        assert_eq!(before.leave_as(&leave).await.expect("a repeat"), EndReason::Left);
        let status = fan.on(world.channel(turn + 1)).position().await.expect("a status");
        assert!(matches!(status, QueueStatus::PreQueued(_)), "a repeat does not leave again: {status:?}");
    }
    world.lose_queue(performance).await;
    world.clock.advance(OPENS_IN);
    // With any of the tokens the fan has the same number.
    let number = Draw::new(KEY, 0, 3).number(2);
    for fan in [&fans[0], &fans[2], &fan, &before] {
        until("a number", || async { matches!(fan.position().await, Ok(QueueStatus::Waiting(_))) }).await;
    }
    for fan in [&fan, &before, &fans[1]] {
        let status = fan.position().await.expect("a status");
        assert!(matches!(&status, QueueStatus::Waiting(waiting) if waiting.position == number), "{status:?}");
    }
    assert_eq!(draw(&fan, performance).await.expect("the draw").lanes[0].joined, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_pre_queue_has_no_draw() {
    let world = World::embedded().await;
    let (with, without) = (world.performance(Some(still())).await, world.performance(None).await);
    let fan = world.fan(0).await;
    assert_eq!(reason(&draw(&fan, with).await.expect_err("no draw")), "NO_DRAW");
    assert_eq!(reason(&draw(&fan, without).await.expect_err("no queue")), "NO_QUEUE");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_stores_draw_the_same_numbers() {
    let world = World::embedded().await;
    let performance = world.drawn_performance(still(), OPENS_IN).await;
    let fans = pre_queued(&world, performance, 5).await;
    world.clock.advance(OPENS_IN);
    for (index, fan) in (1..).zip(&fans) {
        let number = Draw::new(KEY, 0, 5).number(index);
        until("the number", || async {
            matches!(fan.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.position == number)
        })
        .await;
    }
}
