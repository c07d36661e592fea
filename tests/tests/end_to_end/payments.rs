//! Payments.

use encore_proto::booking::v1::ReservationState;
use encore_tests::fan::{reason, reason_metadata, request_id};
use encore_tests::ledger;
use encore_tests::world::{World, until};
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_repeats_of_a_payment_have_one_effect_and_one_reply() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.top_up(100_000).await.expect("a credit");
    let hold = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold");
    let request = request_id();

    let payments = join_all((0..20).map(|turn| {
        let (fan, request, hold) = (fan.on(world.channel(turn)), request.clone(), hold.reservation_id.clone());
        async move { fan.pay_as(&request, &hold).await.expect("the same reply") }
    }))
    .await;

    assert!(payments.iter().all(|payment| *payment == payments[0]));
    assert_eq!(fan.balance().await.expect("a balance"), 76_000);
    assert_eq!(ledger::payments(world.database()).await, 1);
    assert_eq!(ledger::events(world.database(), "booking.reservation_confirmed").await, 1);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insufficient_balance_changes_nothing() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let hold = fan.hold(performance, &["C-A-1"]).await.expect("a hold");
    fan.top_up(7_499).await.expect("a credit");

    let refusal = fan.pay(&hold.reservation_id).await.expect_err("a cent is missing");
    assert_eq!(reason(&refusal), "INSUFFICIENT_BALANCE");
    assert_eq!(reason_metadata(&refusal, "balance_minor").as_deref(), Some("7499"));
    assert_eq!(reason_metadata(&refusal, "needed_minor").as_deref(), Some("7500"));
    assert_eq!(fan.balance().await.expect("a balance"), 7_499);
    let unpaid = fan.reservation(&hold.reservation_id).await.expect("the reservation");
    assert_eq!(unpaid.state(), ReservationState::Held);

    fan.top_up(1).await.expect("a credit");
    fan.pay(&hold.reservation_id).await.expect("enough now");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_fans_reservation_is_not_found() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let (owner, other) = (world.fan(0).await, world.fan(1).await);
    let hold = owner.hold(performance, &["C-A-1"]).await.expect("a hold");
    other.top_up(50_000).await.expect("a credit");

    for refusal in [
        other.pay(&hold.reservation_id).await.map(drop),
        other.release(&hold.reservation_id).await.map(drop),
        other.reservation(&hold.reservation_id).await.map(drop),
    ] {
        assert_eq!(reason(&refusal.expect_err("not theirs")), "NOT_FOUND");
    }
    assert_eq!(other.balance().await.expect("a balance"), 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_propagates_a_pending_settlement() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.top_up(12_000).await.expect("a credit");
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    // The payment commits, and its instance stops before it has propagated the settlement.
    let reservation = world.ports.reservations.find(hold.reservation_id.parse().expect("an id")).await;
    let reservation = reservation.expect("Postgres is available").expect("the reservation");
    let plan = encore_port_tests::fixtures::payment(&reservation, encore_port_tests::fixtures::start());
    let key = encore_port_tests::fixtures::request(fan.user);
    world.ports.payments.pay_from_wallet(plan, key).await.expect("a payment");
    let sold = || async {
        let seats = fan.seats(performance).await.expect("seats");
        seats.iter().any(|seat| seat.status() == encore_proto::catalog::v1::SeatStatus::Sold)
    };
    assert!(!sold().await, "the settlement is pending");

    world.clock.advance(std::time::Duration::from_secs(3));

    until("a seat that is shown as sold", sold).await;
}
