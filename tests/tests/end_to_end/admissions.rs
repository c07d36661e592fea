//! What a fan does within one admission, and how it ends.

use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::queue::QueueSettings;
use encore_port_tests::fixtures::festival_chart;
use encore_proto::booking::v1::{Reservation, ReservationState};
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id};
use encore_tests::world::{World, until};
use futures::future::join_all;

async fn worlds() -> [World; 3] {
    [World::durable(2).await, World::embedded().await, World::without_redis().await]
}

async fn admitted(world: &World, performance: PerformanceId) -> Fan {
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    fan.top_up(100_000).await.expect("a credit");
    fan
}

async fn assert_ended(fan: &Fan, expected: EndReason) {
    let status = fan.position().await.expect("a status");
    assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == expected), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_holds_of_an_admission_can_be_paid() {
    for world in worlds().await {
        let settings = Some(QueueSettings::default());
        let performance = world.performance_in(festival_chart(50), settings, |performance| performance).await;
        let operator = world.operator().await;
        let fan = admitted(&world, performance).await;
        let units = fan.hold_units(performance, "Floor", 2).await.expect("a hold");
        let seated = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
        let released = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
        fan.pay(&units.reservation_id).await.expect("the first payment");
        fan.release(&released.reservation_id).await.expect("released");
        let more = fan.hold(performance, &["S-A-3"]).await.expect("the token is active");
        fan.pay(&seated.reservation_id).await.expect("the second payment");
        fan.pay(&more.reservation_id).await.expect("the third payment");

        assert_ended(&fan, EndReason::Used).await;
        let refusal = fan.hold(performance, &["S-A-4"]).await.expect_err("the token is used");
        assert_eq!(reason(&refusal), "QUEUE_TOKEN_ENDED");
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_payments_one_ends_the_token() {
    for world in worlds().await {
        let performance = world.performance(Some(QueueSettings::default())).await;
        for round in 0..5 {
            let fan = admitted(&world, performance).await;
            let seats = (4 * round..4 * round + 4).map(|seat| ALL_SEATS[seat]);
            let holds = join_all(seats.map(|seat| {
                let fan = &fan;
                async move { fan.hold(performance, &[seat]).await.expect("a hold") }
            }))
            .await;
            let payments = join_all(holds.iter().enumerate().map(|(turn, hold)| {
                let fan = fan.on(world.channel(turn));
                async move { fan.pay(&hold.reservation_id).await }
            }))
            .await;
            for payment in payments {
                payment.expect("a payment");
            }
            assert_ended(&fan, EndReason::Used).await;
        }
    }
}

/// The first twenty seats of the small venue.
const ALL_SEATS: [&str; 20] = [
    "S-A-1", "S-A-2", "S-A-3", "S-A-4", "S-A-5", "S-A-6", "S-A-7", "S-A-8", "S-B-1", "S-B-2", "S-B-3", "S-B-4",
    "S-B-5", "C-A-1", "C-A-2", "C-A-3", "C-A-4", "C-B-1", "C-B-2", "C-B-3",
];

#[tokio::test(flavor = "multi_thread")]
async fn expiry_does_not_end_the_token() {
    let world = World::durable(2).await;
    let brief = |performance| Performance { hold_for: Duration::from_secs(30), ..performance };
    let performance = world.performance_with(Some(QueueSettings::default()), brief).await;
    let fan = admitted(&world, performance).await;
    let first = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    fan.pay(&first.reservation_id).await.expect("a payment");
    world.clock.advance(Duration::from_secs(30));
    let next = fan.hold(performance, &["S-A-3"]).await.expect("the token is active");
    fan.pay(&next.reservation_id).await.expect("a payment");
    assert_ended(&fan, EndReason::Used).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_gives_all_holds_back() {
    for world in worlds().await {
        let performance = world.performance(Some(QueueSettings::default())).await;
        let elsewhere = world.performance(Some(QueueSettings::default())).await;
        let operator = world.operator().await;
        let mut fan = admitted(&world, performance).await;
        let first = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
        let second = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
        let here = fan.queue_token.clone();
        fan.enter(elsewhere).await.expect("admitted");
        let kept = fan.hold(elsewhere, &["S-A-1"]).await.expect("a hold");

        let leaving = fan.showing(&here);
        assert_eq!(leaving.leave().await.expect("left"), EndReason::Left);
        assert_eq!(leaving.leave().await.expect("a retry"), EndReason::Left);
        for hold in [&first, &second] {
            let released = fan.reservation(&hold.reservation_id).await.expect("a reservation");
            assert_eq!(released.state(), ReservationState::Released);
        }
        let refusal = leaving.hold(performance, &["S-A-3"]).await.expect_err("left");
        assert_eq!(reason_metadata(&refusal, "ended").as_deref(), Some("LEFT"));
        let other = admitted(&world, performance).await;
        let listed = other.seats(performance).await.expect("seats");
        assert!(listed.iter().all(|seat| seat.status() == SeatStatus::Free));
        other.hold(performance, &["S-A-1", "S-A-2"]).await.expect("free at once");
        fan.pay(&kept.reservation_id).await.expect("the hold of the other performance");
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_stays_out_after_redis_is_lost() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let fan = admitted(&world, performance).await;
    let recorded = || async {
        let record = world.ports.queue_records.find(performance).await.expect("Postgres is available");
        record.is_some_and(|record| record.inside.iter().any(|inside| inside.active))
    };
    until("a record of the admission", recorded).await;
    fan.leave().await.expect("left");
    world.lose_queue(performance).await;
    assert_ended(&fan, EndReason::Left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hold_outlives_the_start_of_the_show() {
    for world in worlds().await {
        let now = world.clock.now();
        let soon = |mut performance: Performance| {
            performance.hold_for = Duration::from_mins(5);
            performance.starts_at = now + Duration::from_mins(8);
            performance.on_sale.closes_at = performance.starts_at;
            performance
        };
        let performance = world.performance_with(None, soon).await;
        let fan = world.fan(0).await;
        fan.top_up(50_000).await.expect("a credit");
        let start = (now + Duration::from_mins(8)).timestamp();
        let deadline = |hold: &Reservation| hold.expires_at.as_ref().map(|at| at.seconds);

        let early = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
        assert_eq!(deadline(&early), Some(start - 180));
        world.clock.advance(Duration::from_mins(4));
        let late = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
        assert_eq!(deadline(&late), Some(start));
        let extended = fan.extend_as(&request_id(), &early.reservation_id).await.expect("extended");
        assert_eq!(deadline(&extended), Some(start));
        for hold in [&early, &late] {
            let refusal = fan.extend_as(&request_id(), &hold.reservation_id).await.expect_err("the show begins");
            assert_eq!(reason(&refusal), "HOLD_AT_LIMIT");
        }
        fan.pay(&late.reservation_id).await.expect("before the start");
        world.clock.advance(Duration::from_mins(4));
        let refusal = fan.pay(&early.reservation_id).await.expect_err("the show has begun");
        assert_eq!(reason(&refusal), "HOLD_EXPIRED");
        let refusal = fan.hold(performance, &["S-A-3"]).await.expect_err("the show has begun");
        assert_eq!(reason(&refusal), "SALE_CLOSED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_with_a_token_that_has_ended_releases_nothing() {
    for world in [World::durable(2).await, World::embedded().await] {
        let settings = QueueSettings::default();
        let performance = world.performance(Some(settings.clone())).await;
        let mut fan = admitted(&world, performance).await;
        let expired = fan.showing(&fan.queue_token);
        world.clock.advance(settings.active_duration);
        assert_ended(&expired, EndReason::Expired).await;
        fan.enter(performance).await.expect("admitted again");
        let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");

        assert_eq!(expired.leave().await.expect("it has ended"), EndReason::Expired);
        fan.pay(&hold.reservation_id).await.expect("the hold of the other token is live");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_whose_leave_did_not_come_to_the_queue_joins_again() {
    for world in [World::durable(2).await, World::embedded().await] {
        let performance = world.performance(Some(QueueSettings::default())).await;
        let mut fan = admitted(&world, performance).await;
        let token = world.ports.queue_tokens.read(&fan.queue_token).expect("a queue token");
        // The instance stops before it tells the queue.
        world.ports.reservations.leave(token, world.clock.now()).await.expect("the store answers");

        let refusal = fan.hold(performance, &["S-A-1"]).await.expect_err("it could not be paid");
        assert_eq!(reason(&refusal), "QUEUE_TOKEN_ENDED");
        fan.enter(performance).await.expect("admitted with another token");
        fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    }
}
