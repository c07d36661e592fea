//! Holds that expire or are released.

use std::time::Duration;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::catalog::Performance;
use encore_proto::booking::v1::ReservationState;
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::fan::reason;
use encore_tests::ledger;
use encore_tests::world::{World, until};
use futures::join;

const HOLD_FOR: Duration = Duration::from_mins(5);
const MOMENT: Duration = Duration::from_millis(1);

fn five_minutes(performance: Performance) -> Performance {
    Performance { hold_for: HOLD_FOR, ..performance }
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_of_an_expired_hold_can_be_bought_by_another_fan() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, five_minutes).await;
    let (first, second) = (world.fan(0).await, world.fan(1).await);
    let lost = first.hold(performance, &["S-B-1"]).await.expect("a hold");
    first.top_up(50_000).await.expect("a credit");
    second.top_up(50_000).await.expect("a credit");

    world.clock.advance(HOLD_FOR.saturating_sub(MOMENT));
    let refusal = second.hold(performance, &["S-B-1"]).await.expect_err("the hold is live to its last millisecond");
    assert_eq!(reason(&refusal), "SEATS_TAKEN");
    world.clock.advance(MOMENT);

    let refusal = first.pay(&lost.reservation_id).await.expect_err("the hold has expired");
    assert_eq!(reason(&refusal), "HOLD_EXPIRED");
    until("a free seat", || async { second.hold(performance, &["S-B-1"]).await.is_ok() }).await;
    let listed = second.seats(performance).await.expect("seats");
    let held = listed.iter().find(|seat| seat.seat_id == "S-B-1").expect("the seat");
    assert_eq!(held.status(), SeatStatus::Held);
    let won = world.ports.reservations.claims(performance).await.expect("claims")[0];
    let won = won.owner.reservation().expect("of a hold").to_string();
    second.pay(&won).await.expect("a payment");

    let expired = first.reservation(&lost.reservation_id).await.expect("the reservation");
    assert_eq!(expired.state(), ReservationState::Expired);
    assert_eq!(first.balance().await.expect("a balance"), 50_000);
    assert_eq!(ledger::events(world.database(), "booking.hold_expired").await, 1);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_and_the_expiry_of_its_hold_exclude_each_other() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, five_minutes).await;
    // The payments range from well before the deadline to well after it, and those between race with the expiry. The
    // sweeps of both instances run all the time.
    let orders = ["paid first", "race", "race", "race", "race", "race", "race", "expired first"];
    for (order, number) in orders.into_iter().zip(1..) {
        let fan = world.fan(0).await;
        fan.top_up(12_000).await.expect("a credit");
        let hold = fan.hold(performance, &[&format!("S-A-{number}")]).await.expect("a hold");
        world.clock.advance(HOLD_FOR.saturating_sub(MOMENT));
        let elsewhere = fan.on(world.channel(1));

        let paid = match order {
            "paid first" => {
                let paid = elsewhere.pay(&hold.reservation_id).await;
                assert!(paid.is_ok(), "the hold is live to its last millisecond: {paid:?}");
                world.clock.advance(MOMENT);
                paid
            }
            "expired first" => {
                world.clock.advance(MOMENT);
                let paid = elsewhere.pay(&hold.reservation_id).await;
                assert!(paid.is_err(), "the deadline has passed");
                paid
            }
            _ => {
                let advance = async {
                    for _ in 0..number * 20 {
                        tokio::task::yield_now().await;
                    }
                    world.clock.advance(MOMENT);
                };
                join!(elsewhere.pay(&hold.reservation_id), advance).0
            }
        };

        let state = || async { fan.reservation(&hold.reservation_id).await.expect("the reservation").state() };
        let (balance, claims) = match &paid {
            Ok(_) => (0, 1),
            Err(refusal) => {
                assert_eq!(reason(refusal), "HOLD_EXPIRED");
                (12_000, 0)
            }
        };
        assert_eq!(fan.balance().await.expect("a balance"), balance);
        let all = encore_domain::booking::ReservationFilter::all(world.ports.clock.now());
        let slot = world.ports.reservations.list(fan.user, &all, encore_domain::page::PageRequest::first(1)).await;
        let slots = slot.expect("reservations").items[0].slots();
        until("claims that match the state", || async {
            world.ports.reservations.claims_on(performance, &slots).await.expect("claims").len() == claims
        })
        .await;
        let expected = if paid.is_ok() { ReservationState::Confirmed } else { ReservationState::Expired };
        assert_eq!(state().await, expected);
    }
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_seat_is_free_at_once() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let (first, second) = (world.fan(0).await, world.fan(1).await);
    let hold = first.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold");

    let released = first.on(world.channel(1)).release(&hold.reservation_id).await.expect("released");
    assert_eq!(released.state(), ReservationState::Released);
    second.hold(performance, &["S-A-2"]).await.expect("free for the next fan");

    let refusal = first.release(&hold.reservation_id).await.expect_err("released before");
    assert_eq!(reason(&refusal), "RESERVATION_NOT_HELD");
    let refusal = first.pay(&hold.reservation_id).await.expect_err("released before");
    assert_eq!(reason(&refusal), "RESERVATION_NOT_HELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_without_a_claim_is_freed_after_its_deadline() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, five_minutes).await;
    let fan = world.fan(0).await;
    fan.seats(performance).await.expect("the seats are loaded");
    // An instance stopped between the lock and the claim.
    let slots = encore_port_tests::fixtures::slots(&[0]);
    let until_when = encore_port_tests::fixtures::start() + HOLD_FOR;
    let owner = encore_port_tests::fixtures::id();
    let terms = encore_port_tests::fixtures::lock_terms(owner, until_when);
    world.ports.seat_locks.take(performance, &slots, Orphans::Allow, terms).await.expect("a lock");
    let refusal = fan.hold(performance, &["S-A-1"]).await.expect_err("locked");
    assert_eq!(reason(&refusal), "SEATS_TAKEN");

    world.clock.advance(HOLD_FOR + Duration::from_secs(3));

    until("a free seat", || async { fan.hold(performance, &["S-A-1"]).await.is_ok() }).await;
}
