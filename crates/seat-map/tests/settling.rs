//! Making the locks agree with the claims while the claims change.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use encore_app::contexts::PerformanceContexts;
use encore_app::seat_map::SeatMap;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::ReservationId;
use encore_domain::ports::{MockCatalog, MockClock, MockReservations, MockSeatChanges, MockSeatLocks};
use encore_port_tests::fixtures;

const SEAT: Slot = Slot(4);

/// What became of the seat in the locks, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Held(ReservationId),
    Sold(ReservationId),
    Freed(ReservationId),
    Blocked,
    Unblocked,
}

/// Settles the seat for an owner, or for the operators, while the claims, each time they are read, are what they are then.
async fn settle(owner: impl Into<Option<ReservationId>>, readings: Vec<Vec<Claim>>) -> Vec<Call> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut locks = MockSeatLocks::new();
    let marked = Arc::clone(&calls);
    locks.expect_mark().returning(move |_, locks| {
        let of = |lock: &SeatLock| match lock.owner {
            SeatOwner::Holder { reservation, .. } => Call::Held(reservation),
            SeatOwner::Buyer { reservation } => Call::Sold(reservation),
            SeatOwner::Operators { .. } => Call::Blocked,
        };
        marked.lock().expect("one at a time").extend(locks.iter().map(of));
        Ok(None)
    });
    let freed = Arc::clone(&calls);
    locks.expect_release().returning(move |_, _, owner| {
        freed.lock().expect("one at a time").push(Call::Freed(owner));
        Ok(None)
    });
    let unblocked = Arc::clone(&calls);
    locks.expect_unblock().returning(move |_, _| {
        unblocked.lock().expect("one at a time").push(Call::Unblocked);
        Ok(None)
    });
    let mut reservations = MockReservations::new();
    let readings = Mutex::new(readings.into_iter());
    reservations.expect_claims_on().returning(move |_, _| {
        Ok(readings.lock().expect("one at a time").next().expect("no more is read than needed"))
    });
    let contexts = PerformanceContexts::new(Arc::new(MockCatalog::new()));
    let (changes, clock) = (Arc::new(MockSeatChanges::new()), Arc::new(MockClock::new()));
    let map = SeatMap::new(Arc::new(locks), changes, Arc::new(reservations), contexts, clock);
    let settled = match owner.into() {
        Some(owner) => map.settle(fixtures::id(), &[SEAT], owner).await,
        None => map.settle_blocks(fixtures::id(), &[SEAT]).await,
    };
    settled.expect("the stores answer");
    calls.lock().expect("one at a time").clone()
}

fn held(owner: ReservationId) -> Claim {
    Claim::held(SEAT, owner, fixtures::at_secs(60))
}

fn sold(owner: ReservationId) -> Claim {
    Claim::sold(SEAT, owner)
}

#[tokio::test]
async fn a_lock_without_a_claim_is_freed() {
    let owner = fixtures::id();
    assert_eq!(settle(owner, vec![vec![], vec![]]).await, [Call::Freed(owner)]);
}

#[tokio::test]
async fn a_lock_with_its_claim_stays() {
    let owner = fixtures::id();
    assert_eq!(settle(owner, vec![vec![held(owner)], vec![held(owner)]]).await, [Call::Held(owner)]);
}

#[tokio::test]
async fn a_claim_released_meanwhile_is_freed_again() {
    let owner = fixtures::id();
    let calls = settle(owner, vec![vec![held(owner)], vec![], vec![]]).await;
    assert_eq!(calls, [Call::Held(owner), Call::Freed(owner), Call::Freed(owner)]);
}

#[tokio::test]
async fn a_claim_paid_meanwhile_ends_as_sold() {
    let (owner, other) = (fixtures::id(), fixtures::id());
    let calls = settle(owner, vec![vec![held(other)], vec![sold(other)], vec![sold(other)]]).await;
    assert_eq!(calls.last(), Some(&Call::Freed(owner)), "which does nothing to a seat of another");
    assert!(calls.contains(&Call::Sold(other)));
    assert!(!calls.contains(&Call::Freed(other)));
}

#[tokio::test]
async fn what_is_blocked_or_given_back_is_shown_so() {
    let blocked = Claim::blocked(SEAT, fixtures::id());
    assert_eq!(settle(None, vec![vec![blocked], vec![blocked]]).await, [Call::Blocked]);
    assert_eq!(settle(None, vec![vec![], vec![]]).await, [Call::Unblocked]);
}

#[tokio::test]
async fn the_last_of_blocks_and_holds_that_cross_is_shown() {
    let owner = fixtures::id();
    let blocked = Claim::blocked(SEAT, fixtures::id());
    let calls = settle(None, vec![vec![blocked], vec![held(owner)], vec![held(owner)]]).await;
    assert_eq!(calls, [Call::Blocked, Call::Held(owner), Call::Unblocked], "which does nothing to a seat that is held");
    let calls = settle(owner, vec![vec![held(owner)], vec![blocked], vec![blocked]]).await;
    assert_eq!(calls, [Call::Held(owner), Call::Blocked, Call::Freed(owner), Call::Freed(owner)]);
}
