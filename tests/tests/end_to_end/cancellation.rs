//! Cancelling paid seats.

use std::time::Duration;

use encore_payment_gateway::APPROVE;
use encore_proto::admin::v1 as admin;
use encore_proto::booking::v1::{ListReservationsRequest, Reservation, ReservationState};
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::ledger;
use encore_tests::world::World;
use futures::future::join_all;

/// A fan who has paid for these seats of a new performance, and has nothing left.
async fn bought(world: &World, seats: &[&str], total: i64) -> (Fan, Reservation) {
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.top_up(total).await.expect("a credit");
    let hold = fan.hold(performance, seats).await.expect("a hold");
    fan.pay(&hold.reservation_id).await.expect("a payment");
    let bought = fan.reservation(&hold.reservation_id).await.expect("the reservation");
    assert_eq!(fan.balance().await.expect("a balance"), 0);
    (fan, bought)
}

async fn states(fan: &Fan, states: &[ReservationState]) -> Vec<ReservationState> {
    let states = states.iter().map(|state| i32::from(*state)).collect();
    let message = ListReservationsRequest { states, ..ListReservationsRequest::default() };
    let listed = fan.booking().list_reservations(fan.request(message)).await.expect("a page").into_inner();
    listed.reservations.iter().map(Reservation::state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_reservation_is_refunded_and_its_seats_are_sold_again() {
    let world = World::durable(2).await;
    let (fan, bought) = bought(&world, &["S-A-1", "S-A-2"], 24_000).await;
    assert!(bought.confirmed_at.is_some() && bought.cancelled_at.is_none());

    let request = request_id();
    let cancelled = join_all((0..10).map(|turn| {
        let (fan, request, id) = (fan.on(world.channel(turn)), request.clone(), bought.reservation_id.clone());
        async move { fan.cancel_as(&request, &id, &[]).await.expect("the same reply") }
    }))
    .await;
    assert!(cancelled.iter().all(|reply| *reply == cancelled[0]));
    let reservation = cancelled[0].reservation.clone().expect("a reservation");
    assert_eq!(reservation.state(), ReservationState::Cancelled);
    assert!(reservation.cancelled_at.is_some() && reservation.confirmed_at == bought.confirmed_at);
    assert_eq!(fan.balance().await.expect("a balance"), 24_000);
    assert_eq!(ledger::events(world.database(), "booking.reservation_cancelled").await, 1);
    assert_eq!(fan.reservation(&bought.reservation_id).await.expect("it"), reservation);
    assert_eq!(states(&fan, &[ReservationState::Cancelled]).await, [ReservationState::Cancelled]);
    assert_eq!(states(&fan, &[ReservationState::Confirmed, ReservationState::Held]).await, []);

    let performance = bought.performance_id.parse().expect("an id");
    let seats = fan.seats(performance).await.expect("seats");
    assert!(seats.iter().all(|seat| seat.status() == SeatStatus::Free), "free at once");
    let other = world.fan(1).await;
    other.top_up(24_000).await.expect("a credit");
    let again = other.hold(performance, &["S-A-1", "S-A-2"]).await.expect("free again");
    other.pay(&again.reservation_id).await.expect("sold again");
    ledger::assert_conserved(world.database()).await;
    assert_eq!(found(&world.operator().await, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_seats_are_cancelled_and_the_others_stay() {
    let world = World::durable(2).await;
    let (fan, bought) = bought(&world, &["S-A-1", "C-A-1"], 19_500).await;
    let reply = fan.cancel(&bought.reservation_id, &["C-A-1"]).await.expect("a refund");
    let left = reply.reservation.expect("a reservation");
    assert_eq!(left.state(), ReservationState::Confirmed);
    assert_eq!(left.seats.iter().map(|seat| seat.seat_id.as_str()).collect::<Vec<_>>(), ["S-A-1"]);
    assert_eq!(left.total.map(|total| total.amount_minor), Some(12_000));
    let refund = reply.refund.expect("a refund");
    assert_eq!(refund.seat_ids, ["C-A-1"]);
    assert_eq!(refund.amount.map(|amount| amount.amount_minor), Some(7_500));
    assert_eq!(fan.balance().await.expect("a balance"), 7_500);

    let gone = fan.cancel(&bought.reservation_id, &["C-A-1"]).await.expect_err("it is cancelled");
    assert_eq!(reason(&gone), "NOT_FOUND");
    fan.cancel(&bought.reservation_id, &["S-A-1"]).await.expect("the last seat");
    assert_eq!(states(&fan, &[]).await, [ReservationState::Cancelled]);
    assert_eq!(fan.balance().await.expect("a balance"), 19_500);
    let performance = bought.performance_id.parse().expect("an id");
    assert_eq!(found(&world.operator().await, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_cancelled_is_refused_and_nothing_moves() {
    let world = World::durable(2).await;
    let (fan, bought) = bought(&world, &["S-A-1"], 12_000).await;
    let other = world.fan(1).await;
    let foreign = other.cancel(&bought.reservation_id, &[]).await.expect_err("not theirs");
    assert_eq!(reason(&foreign), "NOT_FOUND");
    let twice = fan.cancel(&bought.reservation_id, &["S-A-1", "S-A-1"]).await.expect_err("named twice");
    assert_eq!(violated_fields(&twice), ["seat_ids[1]"]);
    let message = ListReservationsRequest { states: vec![0, 2, 2, 99], ..ListReservationsRequest::default() };
    let unknown = fan.booking().list_reservations(fan.request(message)).await.expect_err("no such states");
    assert_eq!(violated_fields(&unknown), ["states[0]", "states[2]", "states[3]"]);

    let performance = bought.performance_id.parse().expect("an id");
    let held = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    let refusal = fan.cancel(&held.reservation_id, &[]).await.expect_err("it is not paid");
    assert_eq!(reason(&refusal), "RESERVATION_NOT_CONFIRMED");
    assert_eq!(reason_metadata(&refusal, "state").as_deref(), Some("HELD"));

    let starts_at = bought.starts_at.expect("a start");
    let starts_in = starts_at.seconds - world.ports.clock.now().timestamp();
    world.clock.advance(Duration::from_secs(u64::try_from(starts_in).expect("later") - 24 * 60 * 60));
    let late = fan.cancel(&bought.reservation_id, &[]).await.expect_err("a day before the show");
    assert_eq!(reason(&late), "CANCELLATION_CLOSED");
    assert!(reason_metadata(&late, "closed_at").is_some());
    assert_eq!(fan.balance().await.expect("a balance"), 0);
    let kept = fan.reservation(&bought.reservation_id).await.expect("it");
    assert_eq!(kept.state(), ReservationState::Confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cancels_for_a_fan_at_any_time() {
    let world = World::durable(2).await;
    let (fan, bought) = bought(&world, &["S-A-1"], 12_000).await;
    let operator = world.operator().await;
    world.clock.advance(Duration::from_hours(24 * 29 + 23));
    let request = request_id();
    let cancel = |reason: &str| admin::CancelReservationRequest {
        request_id: request.clone(),
        reservation_id: bought.reservation_id.clone(),
        reason: reason.to_owned(),
    };
    let refused = fan.admin().cancel_reservation(fan.request(cancel("mine"))).await.expect_err("a fan");
    assert_eq!(reason(&refused), "ROLE_NOT_ALLOWED");
    let nameless = operator.admin().cancel_reservation(operator.request(cancel(""))).await.expect_err("no reason");
    assert_eq!(violated_fields(&nameless), ["reason"]);
    for _ in 0..2 {
        let reply = operator.admin().cancel_reservation(operator.request(cancel("goodwill"))).await;
        let refunded = reply.expect("a refund").into_inner().amount.expect("an amount");
        assert_eq!(refunded.amount_minor, 12_000);
    }
    assert_eq!(fan.balance().await.expect("a balance"), 12_000);
}

async fn preview(operator: &Fan, performance: &str) -> admin::PreviewPerformanceCancellationResponse {
    let message = admin::PreviewPerformanceCancellationRequest { performance_id: performance.to_owned() };
    let request = operator.request(message);
    operator.admin().preview_performance_cancellation(request).await.expect("a preview").into_inner()
}

fn cancellation(
    performance: &str,
    preview: &admin::PreviewPerformanceCancellationResponse,
) -> admin::CancelPerformanceRequest {
    admin::CancelPerformanceRequest {
        performance_id: performance.to_owned(),
        reason: "the singer is ill".into(),
        confirmed_reservations: preview.reservations,
        confirmed_amount: preview.amount.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_performance_refunds_everybody_once_and_sells_nothing_more() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let id = performance.to_string();
    let operator = world.operator().await;
    let mut fans = Vec::new();
    for (turn, seat) in ["S-A-1", "S-A-2", "S-A-3", "C-A-1", "C-A-2"].into_iter().enumerate() {
        let fan = world.fan(turn).await;
        let hold = fan.hold(performance, &[seat]).await.expect("a hold");
        if turn < 2 {
            fan.pay_by_card(&hold.reservation_id, APPROVE).await.expect("a payment");
        } else {
            fan.top_up(hold.total.as_ref().expect("a total").amount_minor).await.expect("a credit");
            fan.pay(&hold.reservation_id).await.expect("a payment");
        }
        fans.push((fan, hold));
    }
    let holder = world.fan(0).await;
    let held = holder.hold(performance, &["C-B-1"]).await.expect("a hold");

    let seen = preview(&operator, &id).await;
    assert_eq!((seen.reservations, seen.held_seats), (5, 1));
    assert_eq!(seen.amount.as_ref().map(|amount| amount.amount_minor), Some(51_000));
    let wrong = admin::CancelPerformanceRequest { confirmed_reservations: 4, ..cancellation(&id, &seen) };
    let refused = operator.admin().cancel_performance(operator.request(wrong)).await.expect_err("other figures");
    assert_eq!(reason(&refused), "CANCELLATION_CHANGED");
    assert_eq!(reason_metadata(&refused, "amount_minor").as_deref(), Some("51000"));
    assert_eq!(preview(&operator, &id).await, seen, "nothing was changed");

    // The stream of the first run ends early, as if its instance had died.
    let request = operator.request(cancellation(&id, &seen));
    let mut first = operator.admin().cancel_performance(request).await.expect("a run").into_inner();
    assert_eq!(first.message().await.expect("a report").map(|left| left.reservations), Some(5));
    drop(first);
    let other = operator.on(world.channel(1));
    let left = preview(&other, &id).await;
    let mut run =
        other.admin().cancel_performance(other.request(cancellation(&id, &left))).await.expect("a run").into_inner();
    while let Some(report) = run.message().await.expect("a report") {
        if report.reservations == 0 && report.held_seats > 0 {
            world.clock.advance(Duration::from_mins(10));
        }
    }

    for (turn, (fan, hold)) in fans.iter().enumerate() {
        let reservation = fan.reservation(&hold.reservation_id).await.expect("the reservation");
        assert_eq!(reservation.state(), ReservationState::Cancelled, "{turn}");
        let back = if turn < 2 { 0 } else { hold.total.as_ref().expect("a total").amount_minor };
        assert_eq!(fan.balance().await.expect("a balance"), back, "{turn}");
    }
    let expired = holder.reservation(&held.reservation_id).await.expect("the hold");
    assert_eq!(expired.state(), ReservationState::Expired);
    let late = holder.hold(performance, &["C-B-2"]).await.expect_err("it is blocked");
    assert_eq!(reason(&late), "SEATS_TAKEN");
    assert_eq!(ledger::events(world.database(), "booking.reservation_cancelled").await, 5);
    assert_eq!(ledger::events(world.database(), "catalog.performance_cancelled").await, 1, "of two runs");
    ledger::assert_conserved(world.database()).await;
    assert_eq!(found(&operator, performance).await, []);
    let done = preview(&operator, &id).await;
    assert_eq!((done.reservations, done.held_seats), (0, 0));
}
