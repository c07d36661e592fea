//! Best available seats: the server chooses.

use std::collections::BTreeMap;

use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures::arena_chart;
use encore_proto::booking::v1::{BestAvailable, HoldSeatsRequest, Reservation};
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::common::v1::Money;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::ledger;
use encore_tests::world::World;
use futures::future::join_all;
use tonic::Code;

/// The number of concurrent callers.
const CALLERS: usize = 160;

fn best(count: u32) -> BestAvailable {
    BestAvailable { count, ..Default::default() }
}

fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency_code: "EUR".into() }
}

fn seat_ids(held: &Reservation) -> Vec<&str> {
    held.seats.iter().map(|seat| seat.seat_id.as_str()).collect()
}

fn slots(chart: &SeatChart, held: &Reservation) -> Vec<Slot> {
    held.seats.iter().map(|seat| chart.seat(&seat.seat_id).expect("a seat of the chart").slot).collect()
}

/// Concurrent calls for 2 to 4 seats each at a venue of 8,000 seats. No call is refused, all seats of a hold are
/// adjacent, and no seat is in two holds.
async fn concurrent_requests_get_adjacent_seats(world: &World, callers: usize) {
    let chart = arena_chart();
    let performance = world.performance_in(chart.clone(), None, |performance| performance).await;
    let fans: Vec<Fan> = join_all((0..callers).map(|turn| world.fan(turn))).await;
    let count = |turn: usize| 2 + turn % 3;
    let holds = join_all(fans.iter().enumerate().map(|(turn, fan)| async move {
        let seat_request = best(u32::try_from(count(turn)).expect("few"));
        fan.hold_best(performance, seat_request).await.expect("enough free seats")
    }))
    .await;

    let mut owners: BTreeMap<Slot, usize> = BTreeMap::new();
    for (turn, held) in holds.iter().enumerate() {
        let slots = slots(&chart, held);
        assert_eq!(slots.len(), count(turn));
        assert!(slots.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "not adjacent: {:?}", seat_ids(held));
        for slot in slots {
            assert_eq!(owners.insert(slot, turn), None, "{slot:?} is in two holds");
        }
    }
    let claims = world.ports.reservations.claims(performance).await.expect("claims");
    assert_eq!(claims.iter().map(|claim| claim.slot).collect::<Vec<_>>(), owners.into_keys().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_get_adjacent_seats_on_two_instances() {
    let world = World::durable(2).await;
    concurrent_requests_get_adjacent_seats(&world, CALLERS).await;
    assert_eq!(ledger::events(world.database(), "booking.hold_placed").await, 160);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_get_adjacent_seats_on_the_embedded_stores() {
    concurrent_requests_get_adjacent_seats(&World::embedded().await, CALLERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_get_adjacent_seats_without_seat_locks() {
    // Without locks most calls wait for their turn, which takes no more than five seconds on a busy machine.
    concurrent_requests_get_adjacent_seats(&World::without_seat_locks().await, CALLERS / 4).await;
}

/// Concurrent calls for single seats of the small venue. All 26 seats are held before a call is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_refused_while_a_seat_is_free() {
    for world in [World::durable(2).await, World::without_seat_locks().await] {
        let performance = world.performance(None).await;
        let fans: Vec<Fan> = join_all((0..40).map(|turn| world.fan(turn))).await;
        let holds = join_all(fans.iter().map(|fan| fan.hold_best(performance, best(1)))).await;

        assert_eq!(holds.iter().filter(|held| held.is_ok()).count(), 26);
        for refusal in holds.iter().filter_map(|held| held.as_ref().err()) {
            assert_eq!((refusal.code(), reason(refusal)), (Code::FailedPrecondition, "NO_SEATS_FIT".to_owned()));
            assert_eq!(reason_metadata(refusal, "count").as_deref(), Some("1"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_seats_match_the_request() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let many = |performance| Performance { seats_per_fan: 26, ..performance };
        let performance = world.performance_with(None, many).await;
        let fan = world.fan(0).await;
        // The stalls have front seats and four rear seats at 75.00. The balcony has only rear seats.
        let balcony = BestAvailable { sections: vec!["Balcony".into()], ..best(4) };
        let held = fan.hold_best(performance, balcony).await.expect("seats");
        assert!(held.seats.iter().all(|seat| seat.section == "Balcony"), "{held:?}");
        let cheap = BestAvailable { price_max: Some(euros(7_500)), ..best(2) };
        let held = fan.hold_best(performance, cheap.clone()).await.expect("seats");
        assert_eq!(seat_ids(&held), ["S-B-4", "S-B-5"], "the cheapest of the first section");
        assert_eq!(held.total, Some(euros(15_000)));
        let stalls = BestAvailable { sections: vec!["Stalls".into()], ..cheap };
        let refusal = fan.hold_best(performance, stalls).await.expect_err("no more of them");
        assert_eq!(reason(&refusal), "NO_SEATS_FIT");
        let front = BestAvailable { grades: vec!["Front".into()], ..best(5) };
        let refusal = fan.hold_best(performance, front.clone()).await.expect_err("no five in a row");
        assert_eq!(reason(&refusal), "NO_SEATS_FIT");
        let split = BestAvailable { allow_split: true, ..front };
        let held = fan.hold_best(performance, split).await.expect("a split group");
        assert_eq!(held.seats.len(), 5);
        assert!(held.seats.iter().all(|seat| seat.grade == "Front"), "{held:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_returns_the_first_choice_even_after_its_release() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let performance = world.performance(None).await;
        let fan = world.fan(0).await;
        let request = request_id();
        let holds = join_all((0..10).map(|turn| {
            let (fan, request) = (fan.on(world.channel(turn)), request.clone());
            async move { fan.hold_best_as(&request, performance, best(3)).await.expect("the same reply") }
        }))
        .await;
        assert!(holds.iter().all(|held| *held == holds[0]));
        assert_eq!(free_seats(&world, performance).await, 23, "the repeats held no other seats");

        fan.release(&holds[0].reservation_id).await.expect("released");
        let again = fan.hold_best_as(&request, performance, best(3)).await.expect("the first reply");
        assert_eq!(again, holds[0]);
        assert_eq!(free_seats(&world, performance).await, 26, "a repeat holds nothing");
        let refusal = fan.hold_best_as(&request, performance, best(2)).await.expect_err("another body");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    }
}

/// The number of free seats by the claims. If there are seat locks, they must agree.
async fn free_seats(world: &World, performance: PerformanceId) -> usize {
    let claims = world.ports.reservations.claims(performance).await.expect("claims").len();
    if world.ports.seat_locks.stock(&[performance]).await.is_ok() {
        let seats = world.fan(1).await.seats(performance).await.expect("seats");
        let free = seats.iter().filter(|seat| seat.status() == SeatStatus::Free).count();
        assert_eq!(free, 26 - claims, "the locks match the claims");
    }
    26 - claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_lists_every_field() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let seat_request = BestAvailable {
        count: 9,
        sections: vec![String::new()],
        grades: vec!["Front".into(), "g".repeat(65)],
        price_max: Some(euros(-1)),
        ..Default::default()
    };
    let message = HoldSeatsRequest {
        request_id: request_id(),
        performance_id: performance.to_string(),
        seat_ids: vec!["S-A-1".into()],
        best_available: Some(seat_request),
        ..Default::default()
    };
    let refusal = fan.send_hold(message).await.expect_err("every field is invalid");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    let fields = ["count", "sections[0]", "grades[1]", "price_max.amount_minor"];
    let expected: Vec<String> = fields.map(|field| format!("best_available.{field}")).into();
    assert_eq!(violated_fields(&refusal), [vec!["seat_ids".to_owned()], expected].concat());

    let refusal = fan.hold_best(performance, best(0)).await.expect_err("a count of zero");
    assert_eq!(violated_fields(&refusal), ["best_available.count"]);
    let dollars = Some(Money { amount_minor: 5, currency_code: "USD".into() });
    let refusal = fan.hold_best(performance, BestAvailable { price_max: dollars, ..best(1) }).await.expect_err("euros");
    assert_eq!(violated_fields(&refusal), ["best_available.price_max.currency_code"]);
    let moon = BestAvailable { sections: vec!["Moon".into()], ..best(1) };
    let refusal = fan.hold_best(performance, moon).await.expect_err("no such section");
    assert_eq!((refusal.code(), refusal.message().contains("Moon")), (Code::NotFound, true));
    let lead = BestAvailable { grades: vec!["Lead".into()], ..best(1) };
    let refusal = fan.hold_best(performance, lead).await.expect_err("no such grade");
    assert_eq!((refusal.code(), refusal.message().contains("Lead")), (Code::NotFound, true));
    assert_eq!(free_seats(&world, performance).await, 26);
}
