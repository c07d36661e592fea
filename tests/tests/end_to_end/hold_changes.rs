//! Extending holds and releasing some of their seats.

use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::queue::QueueSettings;
use encore_proto::booking::v1::{Reservation, ReservationState};
use encore_proto::catalog::v1::{Seat, SeatStatus};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::world::World;
use tonic::Code;

const HOLD_FOR: Duration = Duration::from_mins(5);

fn five_minutes(performance: Performance) -> Performance {
    Performance { hold_for: HOLD_FOR, seats_per_fan: 4, ..performance }
}

fn seats(reservation: &Reservation) -> Vec<&str> {
    reservation.seats.iter().map(|seat| seat.seat_id.as_str()).collect()
}

fn expires_at(reservation: &Reservation) -> i64 {
    reservation.expires_at.as_ref().expect("a deadline").seconds
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("minutes")
}

#[tokio::test(flavor = "multi_thread")]
async fn some_seats_of_a_hold_are_released_and_the_others_paid() {
    for world in [World::durable(2).await, World::embedded().await, World::without_redis().await] {
        let (operator, performance) = (world.operator().await, world.performance_with(None, five_minutes).await);
        let (fan, rival) = (world.fan(0).await, world.fan(1).await);
        let (placing, giving) = (request_id(), request_id());
        let named = ["S-A-1", "S-A-2", "S-A-3", "S-A-4"];
        let placed = fan.hold_as(&placing, performance, &named).await.expect("a hold");
        let id = placed.reservation_id.as_str();
        let refusal = fan.hold(performance, &["S-B-1"]).await.expect_err("four per fan");
        assert_eq!(reason(&refusal), "SEAT_LIMIT_EXCEEDED");

        let left = fan.release_as(&giving, id, &["S-A-4", "S-A-3"]).await.expect("two of them");
        assert_eq!((left.state(), seats(&left)), (ReservationState::Held, vec!["S-A-1", "S-A-2"]));
        assert_eq!(left.total.as_ref().map(|total| total.amount_minor), Some(24_000));
        rival.hold(performance, &["S-A-3", "S-A-4"]).await.expect("free at once");
        fan.hold(performance, &["S-B-1", "S-B-2"]).await.expect("within the limit again");
        let refusal = fan.hold(performance, &["S-B-3"]).await.expect_err("four per fan");
        assert_eq!(reason(&refusal), "SEAT_LIMIT_EXCEEDED");

        let refusal = fan.release_as("", id, &["S-A-1", "S-A-3"]).await.expect_err("one is the rival's");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "NOT_FOUND"));
        let refusal = fan.release_as("", id, &["S-A-1", "S-A-1"]).await.expect_err("one twice");
        assert_eq!(violated_fields(&refusal), ["seat_ids[1]"]);
        assert_eq!(fan.release_as(&giving, id, &["S-A-4", "S-A-3"]).await.expect("a repeat"), left);
        assert_eq!(fan.hold_as(&placing, performance, &named).await.expect("a repeat"), placed);

        fan.top_up(24_000).await.expect("a credit");
        fan.pay(id).await.expect("enough for two");
        let listed = fan.seats(performance).await.expect("seats");
        let status = |id: &str| listed.iter().find(|seat| seat.seat_id == id).map(Seat::status);
        assert_eq!(["S-A-1", "S-A-2"].map(status), [Some(SeatStatus::Sold); 2]);
        assert_eq!(["S-A-3", "S-A-4"].map(status), [Some(SeatStatus::Held); 2]);
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_extended_up_to_three_times_its_duration() {
    for world in [World::durable(2).await, World::embedded().await, World::without_redis().await] {
        let (operator, performance) = (world.operator().await, world.performance_with(None, five_minutes).await);
        let (fan, rival) = (world.fan(0).await, world.fan(1).await);
        let placed = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold");
        let id = placed.reservation_id.as_str();
        let refusal = fan.extend_as("", id).await.expect_err("no request id");
        assert_eq!(violated_fields(&refusal), ["request_id"]);
        let refusal = rival.extend_as(&request_id(), id).await.expect_err("not theirs");
        assert_eq!(reason(&refusal), "NOT_FOUND");

        let mut first = None;
        for round in 1..=3 {
            world.clock.advance(Duration::from_mins(4));
            let request = request_id();
            let extended = fan.extend_as(&request, id).await.expect("extended");
            let by = (round * 240 + 300).min(900);
            assert_eq!(expires_at(&extended), expires_at(&placed) - seconds(HOLD_FOR) + by);
            first.get_or_insert((request, extended));
        }
        let refusal = fan.extend_as(&request_id(), id).await.expect_err("the hold is at its limit");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "HOLD_AT_LIMIT"));
        assert!(reason_metadata(&refusal, "expires_at").is_some());
        let (request, extended) = first.expect("three rounds");
        assert_eq!(fan.extend_as(&request, id).await.expect("a repeat"), extended);

        let refusal = rival.hold(performance, &["S-A-2"]).await.expect_err("long after the first deadline");
        assert_eq!(reason(&refusal), "SEATS_TAKEN");
        assert_eq!(found(&operator, performance).await, []);
        fan.top_up(24_000).await.expect("a credit");
        fan.pay(id).await.expect("a live hold");
        let refusal = fan.extend_as(&request_id(), id).await.expect_err("paid");
        assert_eq!(reason(&refusal), "RESERVATION_NOT_HELD");
        assert_eq!(fan.extend_as(&request, id).await.expect("a repeat"), extended);
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_never_outlives_the_queue_token() {
    let world = World::durable(2).await;
    let performance = world.performance_with(Some(QueueSettings::default()), five_minutes).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    let placed = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let id = placed.reservation_id.as_str();
    world.clock.advance(Duration::from_secs(30));
    let request = request_id();
    let without = Fan { queue_token: String::new(), ..fan.clone() };
    let refusal = without.extend_as(&request, id).await.expect_err("guarded");
    assert_eq!(reason(&refusal), "QUEUE_TOKEN_MISSING");

    let extended = fan.extend_as(&request, id).await.expect("extended");
    assert_eq!(expires_at(&extended), expires_at(&placed) + 30);

    let QueueStatus::Admitted(admitted) = fan.position().await.expect("a position") else { panic!("admitted before") };
    let until = admitted.until.expect("a deadline").seconds;
    world.clock.advance(Duration::from_secs(290));
    let bounded = fan.extend_as(&request_id(), id).await.expect("extended");
    assert_eq!(expires_at(&bounded), until);
    assert!(until < expires_at(&extended) + 290);
    let refusal = fan.extend_as(&request_id(), id).await.expect_err("a hold cannot outlast the admission");
    assert_eq!(reason(&refusal), "HOLD_AT_LIMIT");

    fan.top_up(12_000).await.expect("a credit");
    fan.pay(id).await.expect("paid, and the token is used");
    assert_eq!(fan.extend_as(&request, id).await.expect("a repeat"), extended);
}
