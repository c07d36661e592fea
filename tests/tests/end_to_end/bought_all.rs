//! Fans who have bought as many seats as one fan may: the queue lets nobody in for nothing.

use std::time::Duration;

use encore_domain::booking::Reservation;
use encore_domain::booking::seat_state::SeatLock;
use encore_domain::catalog::Performance;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use encore_port_tests::fixtures::{self, euros};
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, next_status, reason, reason_metadata, request_id};
use encore_tests::world::{World, until};
use tokio::time::timeout;
use tonic::Status;

/// The deadline for a turn. It is longer than any turn takes.
const WITHIN: Duration = Duration::from_secs(30);

/// A queue of one place, and two seats per fan.
async fn one_place(world: &World) -> PerformanceId {
    let settings = QueueSettings { max_active: 1, ..QueueSettings::default() };
    world.performance_with(Some(settings), |performance| Performance { seats_per_fan: 2, ..performance }).await
}

/// Holds seats for a fan past the queue.
async fn hold_elsewhere(world: &World, performance: PerformanceId, fan: &Fan, seats: &[usize]) -> Reservation {
    let sale = world.ports.catalog.performance(performance).await.expect("an answer").expect("the performance");
    let hold = fixtures::hold_at(fan.user, &sale, seats, world.now());
    let request = fixtures::request(fan.user);
    world.ports.reservations.place(hold.clone(), sale.seats_per_fan, None, request).await.expect("placed");
    let lock = |slot| SeatLock::held(slot, hold.id, hold.user, hold.expires_at);
    let locks: Vec<SeatLock> = hold.slots().into_iter().map(lock).collect();
    world.ports.seat_locks.mark(performance, &locks).await.expect("an answer").expect("loaded");
    hold
}

/// Sells seats to a fan past the queue, as a box office does.
async fn sell_elsewhere(world: &World, performance: PerformanceId, fan: &Fan, seats: &[usize]) {
    let hold = hold_elsewhere(world, performance, fan, seats).await;
    let (ports, request) = (&world.ports, || fixtures::request(fan.user));
    ports.wallets.top_up(fixtures::top_up(fan.user, euros(100_000)), request()).await.expect("topped up");
    ports.payments.pay_from_wallet(fixtures::payment(&hold, world.now()), request()).await.expect("paid");
    let locks: Vec<SeatLock> = hold.slots().into_iter().map(|slot| SeatLock::sold(slot, hold.id, hold.user)).collect();
    ports.seat_locks.mark(performance, &locks).await.expect("an answer").expect("loaded");
}

fn assert_limit_named(refusal: &Status) {
    assert_eq!(reason(refusal), "SEAT_LIMIT_EXCEEDED");
    assert_eq!(reason_metadata(refusal, "limit").as_deref(), Some("2"));
    assert_eq!(reason_metadata(refusal, "owned").as_deref(), Some("2"));
}

fn is_passed_over(status: &QueueStatus) -> bool {
    matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::SeatLimitReached)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_bought_all_is_told_at_joining() {
    for world in [World::embedded().await, World::durable(1).await] {
        let performance = one_place(&world).await;
        let mut fan = world.fan(0).await;
        fan.top_up(100_000).await.expect("a credit");
        let first = request_id();
        let joined = fan.join_as(&first, performance, "").await.expect("a queue token");
        fan.enter(performance).await.expect("admitted");
        let one = fan.hold(performance, &["S-A-1"]).await.expect("a seat");
        let two = fan.hold(performance, &["S-A-2"]).await.expect("a seat");
        fan.join(performance).await.expect("seats that are held can be paid");
        fan.wait().await.expect("still admitted");
        fan.pay(&one.reservation_id).await.expect("paid");
        fan.join(performance).await.expect("one of two is bought");
        fan.wait().await.expect("still admitted");
        fan.pay(&two.reservation_id).await.expect("paid");

        assert_limit_named(&fan.join(performance).await.expect_err("two of two"));
        let again = fan.join_as(&first, performance, "").await.expect("a repeat");
        assert_eq!(again.queue_token, joined.queue_token);
        world.fan(0).await.enter(performance).await.expect("the place is free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_bought_all_while_waiting_is_passed_over() {
    let world = World::durable(2).await;
    let performance = one_place(&world).await;
    let mut inside = world.fan(0).await;
    inside.enter(performance).await.expect("admitted");
    inside.hold(performance, &["S-A-1"]).await.expect("the seats are loaded");
    let mut fans = Vec::new();
    for turn in 0..4 {
        let mut fan = world.fan(turn).await;
        fan.join(performance).await.expect("a queue token");
        fans.push(fan);
    }
    let [watching, polling, holding, last] = &mut fans[..] else { panic!("four fans") };
    sell_elsewhere(&world, performance, watching, &[3, 4]).await;
    sell_elsewhere(&world, performance, polling, &[5, 6]).await;
    hold_elsewhere(&world, performance, holding, &[7, 8]).await;
    let mut frames = watching.watch().await.expect("a stream");
    assert!(matches!(next_status(&mut frames).await, QueueStatus::Waiting(_)), "it is asked when its turn comes");

    inside.leave().await.expect("left");
    world.clock.advance(Duration::from_secs(1));
    let ended = async {
        loop {
            match next_status(&mut frames).await {
                QueueStatus::Waiting(_) => {}
                status @ (QueueStatus::PreQueued(_) | QueueStatus::Admitted(_) | QueueStatus::Ended(_)) => {
                    return status;
                }
            }
        }
    };
    let ended = timeout(WITHIN, ended).await.expect("the fan's turn");
    assert!(is_passed_over(&ended), "{ended:?}");
    until("the next fan's turn", || async {
        let status = polling.position().await.expect("a status");
        assert!(matches!(status, QueueStatus::Waiting(_)) || is_passed_over(&status), "{status:?}");
        is_passed_over(&status)
    })
    .await;
    timeout(WITHIN, holding.wait()).await.expect("the fan's turn").expect("what is held can be paid");
    holding.leave().await.expect("left");
    timeout(WITHIN, last.wait()).await.expect("the fan's turn").expect("admitted");

    for (turn, fan) in [&*watching, &*polling].into_iter().enumerate() {
        assert!(is_passed_over(&fan.on(world.channel(turn + 1)).position().await.expect("a status")));
    }
    world.lose_queue(performance).await;
    assert!(is_passed_over(&watching.position().await.expect("a status")), "it is noted where it lasts");
}
