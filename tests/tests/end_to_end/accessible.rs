//! Accessible seats.

use encore_domain::catalog::Performance;
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures::accessible_chart;
use encore_proto::booking::v1::{BestAvailable, HoldSeatsRequest, Reservation};
use encore_proto::catalog::v1::GetSeatChartRequest;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, seats_taken, violated_fields};
use encore_tests::world::World;
use tonic::{Code, Status};

use encore_tests::audit::found;

const ACCESSIBLE: [&str; 5] = ["S-A-3", "S-A-4", "C-B-1", "C-B-5", "C-B-7"];

fn seat_ids(held: &Reservation) -> Vec<&str> {
    held.seats.iter().map(|seat| seat.seat_id.as_str()).collect()
}

async fn performance_with_accessible_seats(world: &World) -> PerformanceId {
    let many = |performance| Performance { seats_per_fan: 26, ..performance };
    world.performance_in(accessible_chart(), None, many).await
}

async fn hold(fan: &Fan, performance: PerformanceId, seats: &[&str], accessible: bool) -> Result<Reservation, Status> {
    let message = HoldSeatsRequest {
        request_id: request_id(),
        performance_id: performance.to_string(),
        seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
        accessible,
        ..Default::default()
    };
    fan.send_hold(message).await
}

fn group(count: u32, accessible_count: u32) -> BestAvailable {
    BestAvailable { count, accessible_count, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn accessible_seats_are_chosen_only_for_requests_that_ask_for_them() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let (performance, fan, other) =
            (performance_with_accessible_seats(&world).await, world.fan(0).await, world.fan(1).await);
        // Two accessible seats are beside the aisle. An accessible seat is no orphan, so a group may sit on one of them.
        let held = fan.hold_best(performance, group(3, 1)).await.expect("a group with one accessible seat");
        assert_eq!(seat_ids(&held), ["S-A-1", "S-A-2", "S-A-3"]);
        let held = fan.hold_best(performance, group(1, 1)).await.expect("one accessible seat");
        assert_eq!(seat_ids(&held), ["S-A-4"]);
        let held = fan.hold_best(performance, group(3, 2)).await.expect("two accessible seats and one between them");
        assert_eq!(seat_ids(&held), ["C-B-5", "C-B-6", "C-B-7"]);
        let refusal = fan.hold_best(performance, group(2, 2)).await.expect_err("one is left");
        assert_eq!(reason(&refusal), "NO_SEATS_FIT");
        // Other requests get ordinary seats, down to the last one.
        let mut given = 7;
        while let Ok(held) = other.hold_best(performance, group(1, 0)).await {
            assert!(!ACCESSIBLE.contains(&seat_ids(&held)[0]), "{held:?}");
            given += 1;
        }
        assert_eq!(given, 25, "the last accessible seat is chosen only on request");
        let split = BestAvailable { allow_split: true, ..group(1, 0) };
        assert_eq!(reason(&other.hold_best(performance, split).await.expect_err("none")), "NO_SEATS_FIT");
        let held = other.hold_best(performance, group(1, 1)).await.expect("the last accessible seat");
        assert_eq!(seat_ids(&held), ["C-B-1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accessible_seats_are_neither_orphans_nor_neighbours() {
    for world in [World::durable(2).await, World::embedded().await, World::without_seat_locks().await] {
        let (performance, fan) = (performance_with_accessible_seats(&world).await, world.fan(0).await);
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
        hold(&["C-B-2", "C-B-3", "C-B-4"]).await.expect("only accessible seats are left on either side");
        let refusal = hold(&["S-A-1"]).await.expect_err("the neighbour of S-A-2 that is left is accessible");
        assert_eq!(reason(&refusal), "WOULD_ORPHAN_SEATS");
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_accessible_seats_requires_the_accessible_flag() {
    for world in [World::durable(2).await, World::embedded().await] {
        let (performance, fan, other) =
            (performance_with_accessible_seats(&world).await, world.fan(0).await, world.fan(1).await);
        let refusal = hold(&fan, performance, &["S-A-2", "S-A-3", "C-B-1"], false)
            .await
            .expect_err("accessible seats without the flag");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "ACCESSIBLE_SEATS"));
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-3,C-B-1"));
        let held = hold(&fan, performance, &["S-A-1", "S-A-2", "S-A-3"], true)
            .await
            .expect("an accessible seat and its neighbours");
        assert_eq!(held.seats.len(), 3);
        let refusal = hold(&other, performance, &["S-A-3"], true).await.expect_err("taken");
        let taken = seats_taken(&refusal).expect("a detail");
        assert_eq!(taken.alternatives[0].seat_ids, ["S-A-4"], "the nearest seat, which is accessible too");
        let refusal = hold(&other, performance, &["S-A-1"], false).await.expect_err("taken");
        let alternatives = seats_taken(&refusal).expect("a detail").alternatives;
        assert!(alternatives.iter().flat_map(|block| &block.seat_ids).all(|seat| !ACCESSIBLE.contains(&seat.as_str())));
        let operator = world.operator().await;
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_show_accessible_seats_and_invalid_requests_are_refused() {
    let world = World::durable(1).await;
    let (performance, fan) = (performance_with_accessible_seats(&world).await, world.fan(0).await);
    let listed = fan.seats(performance).await.expect("seats");
    let marked: Vec<&str> = listed.iter().filter(|seat| seat.accessible).map(|seat| seat.seat_id.as_str()).collect();
    assert_eq!(marked, ACCESSIBLE);
    let message = GetSeatChartRequest { performance_id: performance.to_string(), ..Default::default() };
    let chart = fan.catalog().get_seat_chart(message).await.expect("a chart").into_inner();
    let seats = chart.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
    let marked: Vec<&str> = seats.filter(|seat| seat.accessible).map(|seat| seat.seat_id.as_str()).collect();
    assert_eq!(marked, ACCESSIBLE);

    let refusal = fan.hold_best(performance, group(2, 3)).await.expect_err("more than the count");
    assert_eq!(violated_fields(&refusal), ["best_available.accessible_count"]);
    let split = BestAvailable { allow_split: true, ..group(2, 1) };
    let refusal = fan.hold_best(performance, split).await.expect_err("one block only");
    assert_eq!(violated_fields(&refusal), ["best_available.allow_split"]);
    let both = HoldSeatsRequest {
        request_id: request_id(),
        performance_id: performance.to_string(),
        best_available: Some(group(2, 1)),
        accessible: true,
        ..Default::default()
    };
    let refusal = fan.send_hold(both).await.expect_err("both fields are set");
    assert_eq!(violated_fields(&refusal), ["accessible"]);
}
