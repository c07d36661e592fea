//! General admission areas, which are sold by count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_port_tests::fixtures::{PIT_UNITS, festival_chart};
use encore_proto::booking::v1::{BestAvailable, GeneralAdmission, HoldSeatsRequest, ReservedSeat};
use encore_proto::catalog::v1::{
    AreaStock, ChartArea, GetSeatChartRequest, ListPerformancesRequest, ListSeatsRequest, ListSeatsResponse,
};
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::{World, until};
use futures::future::join_all;
use tonic::Code;

const FLOOR: u32 = 120;
/// The number of concurrent callers. Each wants one to four units, 200 in total.
const CALLERS: usize = 80;

fn stock(section: &str, grade: &str, capacity: u32, left: u32) -> AreaStock {
    AreaStock { section: section.into(), grade: grade.into(), capacity, left }
}

async fn listed(fan: &Fan, performance: PerformanceId, sections: &[&str]) -> ListSeatsResponse {
    let sections = sections.iter().map(|&section| section.to_owned()).collect();
    let message = ListSeatsRequest { performance_id: performance.to_string(), sections, ..Default::default() };
    fan.catalog().list_seats(fan.request(message)).await.expect("seats").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn areas_are_listed_beside_seats_with_their_free_units() {
    for world in [World::durable(1).await, World::embedded().await] {
        let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
        let fan = world.fan(0).await;
        let page = async |page_size, page_token: &str| {
            let (performance_id, page_token) = (performance.to_string(), page_token.to_owned());
            let message = GetSeatChartRequest { performance_id, page_size, page_token, ..Default::default() };
            fan.catalog().get_seat_chart(message).await.expect("a chart").into_inner()
        };
        let area = |section: &str, grade, capacity| ChartArea { section: section.into(), grade, capacity };
        let first = page(20, "").await;
        assert_eq!(first.areas, [area("Floor", 1, FLOOR), area("Pit", 0, PIT_UNITS)]);
        assert_eq!(first.seats_total, 26);
        assert_eq!(page(20, &first.next_page_token).await.areas, []);

        let all = listed(&fan, performance, &[]).await;
        assert_eq!(all.areas, [stock("Floor", "Rear", FLOOR, FLOOR), stock("Pit", "Front", PIT_UNITS, PIT_UNITS)]);
        let seats: usize = all.sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len()).sum();
        assert_eq!(seats, 26);
        let some = listed(&fan, performance, &["Pit", "Stalls"]).await;
        assert_eq!(some.areas, [stock("Pit", "Front", PIT_UNITS, PIT_UNITS)]);
        assert_eq!(some.sections.len(), 1);

        let stored = world.ports.catalog.performance(performance).await.expect("Postgres").expect("a performance");
        let message = ListPerformancesRequest { concert_id: stored.concert.to_string(), ..Default::default() };
        let dates = fan.catalog().list_performances(message).await.expect("dates").into_inner();
        let total = 26 + FLOOR + PIT_UNITS;
        assert_eq!((dates.performances[0].seats_total, dates.performances[0].seats_left), (total, total));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_held_paid_and_released() {
    for world in [World::durable(2).await, World::embedded().await, World::without_redis().await] {
        let operator = world.operator().await;
        let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
        let (fan, rival) = (world.fan(0).await, world.fan(1).await);
        let left = async || listed(&fan, performance, &["Pit"]).await.areas[0].left;
        let placing = request_id();
        let held = fan.hold_units_as(&placing, performance, "Pit", 4).await.expect("twelve free units");
        assert_eq!(held.total.as_ref().map(|total| total.amount_minor), Some(4 * 12_000));
        for seat in &held.seats {
            assert_eq!((seat.section.as_str(), seat.label.as_str(), seat.grade.as_str()), ("Pit", "", "Front"));
        }
        assert_eq!(fan.hold_units_as(&placing, performance, "Pit", 4).await.expect("a repeat"), held);
        assert_eq!(left().await, PIT_UNITS - 4);

        let refusal = fan.hold_units(performance, "Floor", 3).await.expect_err("six per fan");
        assert_eq!(reason(&refusal), "SEAT_LIMIT_EXCEEDED");
        let others = rival.hold_units(performance, "Pit", 6).await.expect("eight free units");
        assert_eq!(left().await, 2);
        let late = world.fan(0).await;
        let refusal = late.hold_units(performance, "Pit", 3).await.expect_err("two are left");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "TOO_FEW_LEFT"));
        let metadata = ["area", "count", "left"].map(|key| reason_metadata(&refusal, key).unwrap_or_default());
        assert_eq!(metadata, ["Pit", "3", "2"]);

        let id = held.reservation_id.as_str();
        let back = [held.seats[0].seat_id.as_str(), held.seats[2].seat_id.as_str()];
        let kept = fan.release_as("", id, &back).await.expect("two of them");
        assert_eq!((kept.seats.len(), left().await), (2, 4));
        fan.top_up(24_000).await.expect("a credit");
        fan.pay(id).await.expect("enough for two");
        rival.release(&others.reservation_id).await.expect("all of them");
        assert_eq!(left().await, PIT_UNITS - 2);
        assert_eq!(fan.reservation(id).await.expect("paid").seats, kept.seats);
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_an_expired_hold_are_free_again() {
    let world = World::durable(2).await;
    let performance = world.performance_in(festival_chart(4), None, |performance| performance).await;
    let (fan, rival) = (world.fan(0).await, world.fan(1).await);
    fan.hold_units(performance, "Floor", 4).await.expect("four free units");
    let refusal = rival.hold_units(performance, "Floor", 1).await.expect_err("no free units");
    assert_eq!(reason_metadata(&refusal, "left").as_deref(), Some("0"));
    world.clock.advance(Duration::from_mins(8));
    until("four free units", || async { rival.hold_units(performance, "Floor", 4).await.is_ok() }).await;
}

/// The demand exceeds the capacity. No call is refused while enough units are free, and every unit is sold.
async fn an_area_is_sold_out(world: &World) -> PerformanceId {
    let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
    let fans: Vec<Fan> = join_all((0..CALLERS).map(|turn| world.fan(turn))).await;
    let count = |turn: usize| u32::try_from(1 + turn % 4).expect("few");
    let seat_request = async |turn: usize| fans[turn].hold_units(performance, "Floor", count(turn)).await;
    let answers = join_all((0..CALLERS).map(seat_request)).await;

    let left = listed(&fans[0], performance, &["Floor"]).await.areas[0].left;
    let mut ids = BTreeSet::new();
    for (turn, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(held) => {
                assert_eq!(held.seats.len(), count(turn) as usize);
                ids.extend(held.seats.into_iter().map(|seat| seat.seat_id));
            }
            Err(refusal) => {
                assert_eq!(reason(&refusal), "TOO_FEW_LEFT", "{refusal:?}");
                assert!(left < count(turn), "{left} units are left, and a call for {} was refused", count(turn));
            }
        }
    }
    // The calls that were refused may have wanted more than is left. What is listed as free can be held.
    for turn in 0..left as usize {
        let held = world.fan(turn).await.hold_units(performance, "Floor", 1).await.expect("a free unit");
        ids.extend(held.seats.into_iter().map(|seat| seat.seat_id));
    }
    let left = listed(&fans[0], performance, &["Floor"]).await.areas[0].left;
    assert_eq!((ids.len(), left), (FLOOR as usize, 0), "every unit is sold once");
    let claims = world.ports.reservations.claims(performance).await.expect("claims");
    assert_eq!(claims.len(), FLOOR as usize);
    assert_eq!(listed(&fans[0], performance, &["Pit"]).await.areas[0].left, PIT_UNITS);
    performance
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_sold_out_on_two_instances() {
    let world = World::durable(2).await;
    let performance = an_area_is_sold_out(&world).await;
    assert_eq!(found(&world.operator().await, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_sold_out_in_process() {
    let world = World::embedded().await;
    let performance = an_area_is_sold_out(&world).await;
    assert_eq!(found(&world.operator().await, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_sold_out_on_the_claims_alone() {
    an_area_is_sold_out(&World::without_seat_locks().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_sold_out_although_redis_loses_it() {
    let world = World::durable(2).await;
    let (performance, ()) = futures::join!(an_area_is_sold_out(&world), async {
        for _ in 0..3 {
            world.lose_redis().await;
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(found(&world.operator().await, performance).await, []);
}

/// A search finds the last units from every start, however far away they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_units_are_found_on_the_claims_alone() {
    let world = World::without_seat_locks().await;
    let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
    let mut holds = Vec::new();
    for turn in 0..FLOOR as usize / 6 {
        let fan = world.fan(turn).await;
        let held = fan.hold_units(performance, "Floor", 6).await.expect("six free units");
        holds.push((fan, held));
    }
    let late = world.fan(0).await;
    let refusal = late.hold_units(performance, "Floor", 1).await.expect_err("no free units");
    assert_eq!(reason_metadata(&refusal, "left").as_deref(), Some("0"));
    for (fan, held) in &holds[..6] {
        let back = held.seats[0].seat_id.as_str();
        fan.release_as("", &held.reservation_id, &[back]).await.expect("a unit of the hold");
        let seats = late.hold_units(performance, "Floor", 1).await.expect("one free unit").seats;
        assert_eq!(seats[0].seat_id, back);
    }
}

/// Locks that miss claims lead to another choice. They never lead to a refusal, or to a unit that is sold twice.
#[tokio::test(flavor = "multi_thread")]
async fn stale_locks_lead_to_another_choice() {
    for world in [World::durable(2).await, World::embedded().await] {
        let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
        let (fan, rival) = (world.fan(0).await, world.fan(1).await);
        let half = PIT_UNITS / 2;
        let held = fan.hold_units(performance, "Pit", half).await.expect("free units");
        let claims = world.ports.reservations.claims(performance).await.expect("claims");
        let slots: Vec<Slot> = claims.iter().map(|claim| claim.slot).collect();
        let owner = ReservationId(held.reservation_id.parse().expect("a UUID"));
        world.ports.seat_locks.release(performance, &slots, owner).await.expect("the store answers");

        let others = rival.hold_units(performance, "Pit", half).await.expect("free units");
        let ids = |seats: &[ReservedSeat]| seats.iter().map(|seat| seat.seat_id.clone()).collect::<BTreeSet<_>>();
        assert!(ids(&held.seats).is_disjoint(&ids(&others.seats)));
        let refusal = world.fan(0).await.hold_units(performance, "Pit", 1).await.expect_err("no free units");
        assert_eq!(reason(&refusal), "TOO_FEW_LEFT");
        assert_eq!(found(&world.operator().await, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_area_or_count_is_refused_with_its_field() {
    let world = World::embedded().await;
    let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
    let fan = world.fan(0).await;
    let unit = format!("unit-{}", festival_chart(FLOOR).areas()[0].first.0);
    let refusal = fan.hold(performance, &["S-A-1", &unit]).await.expect_err("a unit is sold by count");
    assert_eq!(violated_fields(&refusal), ["seat_ids"]);
    let refusal = fan.hold_units(performance, "Stalls", 2).await.expect_err("it has seats");
    assert_eq!(violated_fields(&refusal), ["general_admission.area"]);
    let refusal = fan.hold_units(performance, "Moon", 2).await.expect_err("no such section");
    assert_eq!((refusal.code(), refusal.message().contains("Moon")), (Code::NotFound, true));
    for (area, count, fields) in [
        ("", 2, ["general_admission.area"]),
        ("Floor", 0, ["general_admission.count"]),
        ("Floor", 9, ["general_admission.count"]),
    ] {
        let refusal = fan.hold_units(performance, area, count).await.expect_err("out of bounds");
        assert_eq!(violated_fields(&refusal), fields);
    }
    let best = BestAvailable { count: 2, sections: vec!["Floor".into()], ..Default::default() };
    let refusal = fan.hold_best(performance, best.clone()).await.expect_err("it has no seats");
    assert_eq!(violated_fields(&refusal), ["best_available.sections"]);
    let both = HoldSeatsRequest {
        request_id: request_id(),
        performance_id: performance.to_string(),
        seat_ids: vec!["S-A-1".into()],
        best_available: Some(best),
        general_admission: Some(GeneralAdmission { area: "Floor".into(), count: 1 }),
        ..Default::default()
    };
    let refusal = fan.send_hold(both).await.expect_err("three kinds of request");
    assert_eq!(violated_fields(&refusal), ["seat_ids", "best_available"]);

    let left = listed(&fan, performance, &[]).await.areas;
    assert_eq!(left, [stock("Floor", "Rear", FLOOR, FLOOR), stock("Pit", "Front", PIT_UNITS, PIT_UNITS)]);
    let best = BestAvailable { count: 6, ..Default::default() };
    let seats = fan.hold_best(performance, best).await.expect("seats outside the areas").seats;
    assert!(seats.iter().all(|seat| !seat.label.is_empty()), "{seats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_receive_the_free_units_of_areas() {
    let world = World::durable(2).await;
    let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
    let (fan, other) = (world.fan(0).await, world.fan(1).await);
    let mut all = WatchedSeats::open(&fan, performance, &[]).await.expect("a stream");
    let mut pit = WatchedSeats::open(&other, performance, &["Pit"]).await.expect("a stream");
    all.next().await.expect("a snapshot");
    pit.next().await.expect("a snapshot");
    assert_eq!((all.statuses.len(), &all.left), (26, &BTreeMap::from([(0, FLOOR), (1, PIT_UNITS)])));
    assert_eq!((pit.statuses.len(), &pit.left), (0, &BTreeMap::from([(1, PIT_UNITS)])));

    let held = other.hold_units(performance, "Floor", 5).await.expect("free units");
    all.until_left([(0, FLOOR - 5), (1, PIT_UNITS)]).await.expect("a frame");
    let version = all.version;
    fan.hold_units(performance, "Pit", 2).await.expect("free units");
    other.release(&held.reservation_id).await.expect("released");
    all.until_left([(0, FLOOR), (1, PIT_UNITS - 2)]).await.expect("a frame");
    pit.until_left([(1, PIT_UNITS - 2)]).await.expect("a frame");
    assert_eq!((all.frame_counts[0], pit.frame_counts[0]), (1, 1), "one snapshot each");

    // The stream is reopened at the other instance from an earlier version.
    all.version = version;
    all.left.clear();
    all.reopen(&other, performance, &[]).await.expect("a stream");
    all.next().await.expect("a frame");
    assert_eq!(all.left, BTreeMap::from([(0, FLOOR), (1, PIT_UNITS - 2)]));
}
