//! Seats that operators block from sale.

use std::time::Duration;

use encore_domain::booking::seat_block::{BlockReason, SeatBlock, SeatUnblock};
use encore_domain::ids::{BlockId, PerformanceId};
use encore_port_tests::fixtures::{self, slots};
use encore_proto::booking::v1::BestAvailable;
use encore_proto::catalog::v1::{ListPerformancesRequest, SeatStatus};
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, seats_taken, violated_fields};
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::{World, until};
use tonic::Code;
use tonic_types::StatusExt;

use encore_tests::audit::found;

/// The number of seats of the small venue.
const ALL: usize = 26;

/// The seats with a status, as the fan's instance lists them.
async fn listed(fan: &Fan, performance: PerformanceId, status: SeatStatus) -> Vec<String> {
    let seats = fan.seats(performance).await.expect("seats");
    seats.into_iter().filter(|seat| seat.status() == status).map(|seat| seat.seat_id).collect()
}

/// The number of free seats in the catalogue.
async fn left(fan: &Fan, world: &World, performance: PerformanceId) -> usize {
    let concert = world.ports.catalog.performance(performance).await.expect("Postgres is available");
    let message = ListPerformancesRequest {
        concert_id: concert.expect("a performance").concert.to_string(),
        ..Default::default()
    };
    let page = fan.catalog().list_performances(message).await.expect("performances").into_inner();
    page.performances[0].seats_left as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_seats_cannot_be_held_until_they_are_unblocked() {
    for world in
        [World::durable(2).await, World::embedded().await, World::without_redis().await, World::on_cluster(2).await]
    {
        let (operator, performance) = (world.operator().await, world.performance(None).await);
        let (fan, elsewhere) = (world.fan(0).await, world.fan(1).await);
        let mut watched = WatchedSeats::open(&elsewhere, performance, &[]).await.expect("a stream");
        watched.until(|statuses| statuses.len() == ALL).await;

        let blocked = operator.block("", performance, &["S-A-2", "S-A-1", "S-A-2"], " House seats ").await;
        let blocked = blocked.expect("free seats");
        assert_eq!(
            (blocked.seat_ids.as_slice(), blocked.reason.as_str()),
            (&["S-A-1", "S-A-2"].map(String::from)[..], "House seats")
        );
        watched.until(|statuses| statuses[..3] == [SeatStatus::Blocked, SeatStatus::Blocked, SeatStatus::Free]).await;
        let mut anew = WatchedSeats::open(&fan, performance, &["Stalls"]).await.expect("a stream");
        anew.until(|statuses| statuses.len() == 13).await;
        assert_eq!(anew.statuses[..3], watched.statuses[..3]);
        for fan in [&fan, &elsewhere] {
            assert_eq!(listed(fan, performance, SeatStatus::Blocked).await, ["S-A-1", "S-A-2"]);
            let refusal = fan.hold(performance, &["S-A-2", "S-A-3"]).await.expect_err("blocked");
            assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "SEATS_TAKEN"));
            let taken = seats_taken(&refusal).expect("a detail");
            assert_eq!(taken.seat_ids, ["S-A-2"]);
            assert!(taken.alternatives.iter().all(|block| !block.seat_ids.contains(&"S-A-1".to_owned())));
            until("the number of free seats", || async { left(fan, &world, performance).await == ALL - 2 }).await;
        }
        let seat_request = BestAvailable { count: 2, sections: vec!["Stalls".into()], ..Default::default() };
        let best = fan.hold_best(performance, seat_request).await.expect("two others");
        assert!(best.seats.iter().all(|seat| seat.seat_id != "S-A-1" && seat.seat_id != "S-A-2"));
        assert_eq!(found(&operator, performance).await, []);

        operator.unblock("", performance, &["S-A-1", "S-A-2"]).await.expect("blocked seats");
        watched.until(|statuses| statuses[..2] == [SeatStatus::Free; 2]).await;
        elsewhere.hold(performance, &["S-A-1", "S-A-2"]).await.expect("free at once");
        assert_eq!(operator.blocked(performance).await.expect("a list"), []);
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_taken_seats_is_refused_as_a_whole() {
    for world in [World::durable(2).await, World::embedded().await] {
        let (operator, performance) = (world.operator().await, world.performance(None).await);
        let (fan, rival) = (world.fan(0).await, world.fan(1).await);
        let held = fan.hold(performance, &["S-A-3"]).await.expect("a hold");
        let bought = rival.hold(performance, &["S-A-4"]).await.expect("a hold");
        rival.top_up(12_000).await.expect("a credit");
        rival.pay(&bought.reservation_id).await.expect("paid");
        let request = request_id();
        let wanted = ["S-A-1", "S-A-2", "S-A-3", "S-A-4"];
        let refusal =
            operator.block(&request, performance, &wanted, "Sponsor").await.expect_err("two seats are held or sold");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "SEATS_TAKEN"));
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-3,S-A-4"));
        assert_eq!(reason_metadata(&refusal, "seats").as_deref(), Some("2"));
        let details = refusal.get_error_details();
        let named = details.precondition_failure().expect("a detail").violations.iter().map(|it| it.subject.as_str());
        assert_eq!(named.collect::<Vec<_>>(), ["S-A-3", "S-A-4"]);
        assert_eq!(operator.blocked(performance).await.expect("a list"), []);
        rival.hold(performance, &["S-A-1"]).await.expect("nothing was blocked");

        let refusal = operator.unblock("", performance, &["S-A-1", "S-A-2", "S-A-3"]).await.expect_err("not blocked");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "SEATS_NOT_BLOCKED"));
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-1,S-A-2,S-A-3"));

        fan.release(&held.reservation_id).await.expect("released");
        let first = operator.block(&request, performance, &["S-A-2", "S-A-3"], "Sponsor").await.expect("free again");
        assert_eq!(
            operator.block(&request, performance, &["S-A-2", "S-A-3"], "Sponsor").await.expect("a repeat"),
            first
        );
        let refusal = operator.block(&request, performance, &["S-A-2"], "Sponsor").await.expect_err("another body");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
        operator
            .block("", performance, &["S-A-3", "S-A-5"], "Broken")
            .await
            .expect("a blocked seat can be blocked again");
        let blocked = [("S-A-2", "Sponsor"), ("S-A-3", "Broken"), ("S-A-5", "Broken")];
        let blocked = blocked.map(|(seat, why)| (seat.to_owned(), why.to_owned()));
        assert_eq!(operator.blocked(performance).await.expect("a list"), blocked);

        let given_back = request_id();
        let first = operator.unblock(&given_back, performance, &["S-A-2"]).await.expect("blocked");
        fan.hold(performance, &["S-A-2"]).await.expect("free at once");
        assert_eq!(operator.unblock(&given_back, performance, &["S-A-2"]).await.expect("a repeat"), first);
        assert_eq!(listed(&fan, performance, SeatStatus::Held).await, ["S-A-1", "S-A-2"]);
        assert_eq!(found(&operator, performance).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_survive_the_loss_of_redis_and_of_an_instance() {
    let world = World::durable(2).await;
    let (operator, performance) = (world.operator().await, world.performance(None).await);
    let (fan, elsewhere) = (world.fan(0).await, world.fan(1).await);
    operator.block("", performance, &["C-B-1", "C-B-2"], "House seats").await.expect("free seats");
    world.lose_redis().await;
    for fan in [&fan, &elsewhere] {
        let refusal = fan.hold(performance, &["C-B-1"]).await.expect_err("still blocked");
        assert_eq!(reason(&refusal), "SEATS_TAKEN");
        assert_eq!(listed(fan, performance, SeatStatus::Blocked).await, ["C-B-1", "C-B-2"]);
    }
    // An instance stops between the claims and the locks. The block and the unblock are effective.
    let block = SeatBlock {
        id: fixtures::id(),
        performance,
        operator: operator.user,
        reason: BlockReason::parse("Sponsor").expect("a reason"),
        slots: slots(&[0, 1]),
        at: fixtures::start(),
    };
    world.ports.seat_blocks.block(block, None).await.expect("free seats");
    let id: BlockId = fixtures::id();
    let chart = fixtures::small_chart();
    let given_back = ["C-B-1", "C-B-2"].map(|seat| chart.seat(seat).expect("a seat").slot).to_vec();
    let unblock = SeatUnblock { id, performance, operator: operator.user, slots: given_back, at: fixtures::start() };
    world.ports.seat_blocks.unblock(unblock, None).await.expect("blocked seats");

    let refusal = fan.hold(performance, &["S-A-1"]).await.expect_err("the claims refuse the seat");
    assert_eq!(reason(&refusal), "SEATS_TAKEN");
    until("maps that match the claims", || async {
        world.clock.advance(Duration::from_secs(1));
        listed(&fan, performance, SeatStatus::Blocked).await == ["S-A-1", "S-A-2"]
            && listed(&elsewhere, performance, SeatStatus::Free).await.len() == ALL - 2
    })
    .await;
    elsewhere.hold(performance, &["C-B-1", "C-B-2"]).await.expect("unblocked seats");
    assert_eq!(found(&operator, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_requires_an_operator_seats_and_a_reason() {
    let world = World::embedded().await;
    let (operator, performance) = (world.operator().await, world.performance(None).await);
    let fan = world.fan(0).await;
    let refusal = fan.block("", performance, &["S-A-1"], "Mine").await.expect_err("a fan");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::PermissionDenied, "ROLE_NOT_ALLOWED"));
    let refusal = fan.unblock("", performance, &["S-A-1"]).await.expect_err("a fan");
    assert_eq!(reason(&refusal), "ROLE_NOT_ALLOWED");
    let refusal = fan.blocked(performance).await.expect_err("a fan");
    assert_eq!(reason(&refusal), "ROLE_NOT_ALLOWED");

    let refusal = operator.block("x", performance, &[], " ").await.expect_err("every field is invalid");
    assert_eq!(violated_fields(&refusal), ["request_id", "reason", "seat_ids"]);
    let long = "x".repeat(65);
    let refusal = operator.block("", performance, &["S-A-1", &long], "Sponsor").await.expect_err("no seat's name");
    assert_eq!(violated_fields(&refusal), ["seat_ids[1]"]);
    let many = vec!["S-A-1"; 1_001];
    let refusal = operator.unblock("", performance, &many).await.expect_err("too many");
    assert_eq!(violated_fields(&refusal), ["seat_ids"]);
    let refusal = operator.block("", performance, &["S-A-1", "Z-9"], "Sponsor").await.expect_err("no such seat");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "NOT_FOUND"));
    let refusal = operator.block("", fixtures::id(), &["S-A-1"], "Sponsor").await.expect_err("no such performance");
    assert_eq!(reason(&refusal), "NOT_FOUND");
    assert_eq!(operator.blocked(performance).await.expect("a list"), []);
}
