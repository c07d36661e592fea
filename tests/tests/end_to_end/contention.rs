//! Many fans compete for the same seats.

use encore_proto::booking::v1::HoldSeatsRequest;
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, seats_taken};
use encore_tests::ledger;
use encore_tests::world::World;
use futures::future::join_all;
use tonic::Code;

const FANS: usize = 200;
const SEATS: [&str; 2] = ["S-A-3", "S-A-4"];

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_fans_on_the_same_two_seats_one_wins() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fans: Vec<Fan> = join_all((0..FANS).map(|turn| world.fan(turn))).await;
    for fan in fans.iter().take(20) {
        fan.top_up(50_000).await.expect("a credit");
    }

    let holds = join_all(fans.iter().map(|fan| fan.hold(performance, &SEATS))).await;

    let winners: Vec<usize> = (0..FANS).filter(|fan| holds[*fan].is_ok()).collect();
    assert_eq!(winners.len(), 1, "one winner");
    for refusal in holds.iter().filter_map(|held| held.as_ref().err()) {
        assert_eq!((refusal.code(), reason(refusal)), (Code::FailedPrecondition, "SEATS_TAKEN".to_owned()));
        assert_eq!(reason_metadata(refusal, "seat_ids").as_deref(), Some("S-A-3,S-A-4"));
        let taken = seats_taken(refusal).expect("a detail");
        assert_eq!(taken.seat_ids, SEATS);
        assert!(!taken.alternatives.is_empty() && taken.alternatives.iter().all(|block| block.seat_ids.len() == 2));
        assert!(
            taken.alternatives.iter().flat_map(|block| &block.seat_ids).all(|seat| !SEATS.contains(&seat.as_str()))
        );
    }
    let winner = &fans[winners[0]];
    winner.top_up(50_000).await.expect("a credit");
    let reservation = holds[winners[0]].as_ref().expect("the winner's");
    winner.pay(&reservation.reservation_id).await.expect("a payment");
    assert_eq!(ledger::payments(world.database()).await, 1);
    assert_eq!(ledger::events(world.database(), "booking.hold_placed").await, 1);
    ledger::assert_conserved(world.database()).await;

    for turn in 0..2 {
        let seats = winner.on(world.channel(turn)).seats(performance).await.expect("seats");
        let sold: Vec<_> = seats.iter().filter(|seat| seat.status() == SeatStatus::Sold).collect();
        let sold: Vec<_> = sold.iter().map(|seat| seat.seat_id.as_str()).collect();
        assert_eq!(sold, SEATS);
        assert_eq!(seats.iter().filter(|seat| seat.status() == SeatStatus::Free).count(), 24);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_requests_never_sell_a_seat_twice() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fans: Vec<Fan> = join_all((0..60).map(|turn| world.fan(turn))).await;
    // Every fan wants three adjacent seats of a row of nine, in a different order.
    let seat_requests = |fan: usize| {
        let first = fan % 7 + 1;
        let mut seats = [first, first + 1, first + 2].map(|number| format!("C-B-{number}"));
        seats.rotate_left(fan % 3);
        seats
    };

    let holds = join_all(fans.iter().enumerate().map(|(turn, fan)| async move {
        let seats = seat_requests(turn);
        fan.hold(performance, &seats.each_ref().map(String::as_str)).await
    }))
    .await;

    let mut held: Vec<String> =
        holds.iter().flatten().flat_map(|held| &held.seats).map(|seat| seat.seat_id.clone()).collect();
    let total = held.len();
    held.sort();
    held.dedup();
    assert_eq!(held.len(), total, "no seat is in two holds");
    assert!(total >= 3, "at least one hold is placed");
    for refusal in holds.iter().filter_map(|held| held.as_ref().err()) {
        assert_eq!(reason(refusal), "SEATS_TAKEN");
    }
    let claims = world.ports.reservations.claims(performance).await.expect("claims");
    assert_eq!(claims.len(), total, "the claims match the holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_holds_of_one_fan_do_not_exceed_the_limit() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let names: Vec<String> = (1..=9).map(|number| format!("C-B-{number}")).collect();

    let holds = join_all((0..9).map(|turn| {
        let fan = fan.on(world.channel(turn));
        let seat = names[turn].as_str();
        async move { fan.hold(performance, &[seat]).await }
    }))
    .await;

    assert_eq!(holds.iter().filter(|held| held.is_ok()).count(), 6, "the performance allows six");
    for refusal in holds.iter().filter_map(|held| held.as_ref().err()) {
        assert_eq!(reason(refusal), "SEAT_LIMIT_EXCEEDED");
    }
    let other = world.fan(0).await;
    let left: Vec<&str> = names.iter().zip(&holds).filter(|(_, held)| held.is_err()).map(|(seat, _)| &**seat).collect();
    other.hold(performance, &left).await.expect("a seat that was refused to one fan is free for another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_hold_lists_the_taken_seats_the_version_and_alternatives() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let performance = world.performance(None).await;
        let (first, second) = (world.fan(0).await, world.fan(1).await);
        first.hold(performance, &["S-A-2", "S-A-3"]).await.expect("a hold");

        let refusal = second.hold(performance, &["S-A-3", "S-A-4"]).await.expect_err("one is taken");
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-3"));
        let taken = seats_taken(&refusal).expect("a detail");
        assert_eq!(taken.seat_ids, ["S-A-3"]);
        assert!(taken.version > 0);
        let blocks: Vec<Vec<&str>> =
            taken.alternatives.iter().map(|block| block.seat_ids.iter().map(String::as_str).collect()).collect();
        // The front grade has S-A-1 to 8, with an aisle in the middle, and S-B-1 to 3. S-B-2 and S-B-3 are nearer but
        // would orphan S-B-1. S-B-3 has a neighbour of the rear grade.
        assert_eq!(blocks, [["S-B-1", "S-B-2"], ["S-A-5", "S-A-6"], ["S-A-7", "S-A-8"]]);
        second.hold(performance, &blocks[0]).await.expect("an alternative that is free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orphan_seats_are_prevented_on_request() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let performance = world.performance(None).await;
        let fan = world.fan(0).await;
        let hold = |seats: &[&str]| {
            let message = HoldSeatsRequest {
                request_id: request_id(),
                performance_id: performance.to_string(),
                seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
                prevent_orphan_seats: true,
                ..Default::default()
            };
            let fan = fan.clone();
            async move { fan.send_hold(message).await }
        };
        let refusal = hold(&["S-A-2", "S-A-3"]).await.expect_err("orphans on both sides");
        assert_eq!(reason(&refusal), "WOULD_ORPHAN_SEATS");
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-1,S-A-4"));
        hold(&["S-A-1", "S-A-2"]).await.expect("two adjacent seats are left");
        assert_eq!(world.ports.reservations.claims(performance).await.expect("claims").len(), 2);
        fan.hold(performance, &["S-A-3"]).await.expect("orphans are allowed by default");
    }
}
