//! Settling locks while the claims change.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatOwner};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::ReservationId;
use encore_domain::ports::{MockCatalog, MockClock, MockReservations, MockSeatChanges, MockSeatLocks};
use encore_port_tests::fixtures;
use encore_seat_map::contexts::PerformanceContexts;
use encore_seat_map::{SeatMap, SeatMapParts};

const SEAT: Slot = Slot(4);

/// A write to the lock of the seat.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Held(ReservationId),
    Sold(ReservationId),
    Freed(ReservationId),
    Blocked,
    Unblocked,
}

/// Settles the seat for a locker. `reads` are the results of the reads of its claims, in order. Returns the writes.
async fn settle(locker: Locker, reads: Vec<Vec<Claim>>) -> Vec<Call> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut locks = MockSeatLocks::new();
    let marked = Arc::clone(&calls);
    locks.expect_mark().returning(move |_, locks| {
        let of = |lock: &SeatLock| match lock.owner {
            SeatOwner::Holder { reservation, .. } => Call::Held(reservation),
            SeatOwner::Buyer { reservation, .. } => Call::Sold(reservation),
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
    let reads = Mutex::new(reads.into_iter());
    reservations
        .expect_claims_on()
        .returning(move |_, _| Ok(reads.lock().expect("one at a time").next().expect("no more reads than needed")));
    let contexts = PerformanceContexts::new(Arc::new(MockCatalog::new()));
    let map = SeatMap::new(SeatMapParts {
        locks: Arc::new(locks),
        changes: Arc::new(MockSeatChanges::new()),
        reservations: Arc::new(reservations),
        contexts,
        clock: Arc::new(MockClock::new()),
    });
    map.settle(fixtures::id(), &[SEAT], locker).await.expect("the stores answer");
    calls.lock().expect("one at a time").clone()
}

fn held(owner: ReservationId) -> Claim {
    Claim::held(SEAT, owner, fixtures::fan_of(owner), fixtures::at_secs(60))
}

fn sold(owner: ReservationId) -> Claim {
    Claim::sold(SEAT, owner, fixtures::fan_of(owner))
}

#[tokio::test]
async fn a_lock_without_a_claim_is_freed() {
    let owner = fixtures::id();
    assert_eq!(settle(Locker::Fan(owner), vec![vec![], vec![]]).await, [Call::Freed(owner)]);
}

#[tokio::test]
async fn a_lock_with_its_claim_stays() {
    let owner = fixtures::id();
    assert_eq!(settle(Locker::Fan(owner), vec![vec![held(owner)], vec![held(owner)]]).await, [Call::Held(owner)]);
}

#[tokio::test]
async fn a_claim_that_ends_meanwhile_is_released() {
    let owner = fixtures::id();
    let calls = settle(Locker::Fan(owner), vec![vec![held(owner)], vec![], vec![]]).await;
    assert_eq!(calls, [Call::Held(owner), Call::Freed(owner), Call::Freed(owner)]);
}

#[tokio::test]
async fn a_claim_that_is_paid_meanwhile_is_marked_as_sold() {
    let (owner, other) = (fixtures::id(), fixtures::id());
    let calls = settle(Locker::Fan(owner), vec![vec![held(other)], vec![sold(other)], vec![sold(other)]]).await;
    assert_eq!(calls.last(), Some(&Call::Freed(owner)), "a release that does not affect the seat of another");
    assert!(calls.contains(&Call::Sold(other)));
    assert!(!calls.contains(&Call::Freed(other)));
}

#[tokio::test]
async fn a_seat_that_another_fan_bought_since_stays_sold_to_that_fan() {
    let (owner, other) = (fixtures::id(), fixtures::id());
    let calls = settle(Locker::Fan(owner), vec![vec![sold(other)], vec![sold(other)]]).await;
    assert_eq!(calls, [Call::Sold(other), Call::Freed(owner)]);
}

#[tokio::test]
async fn a_block_and_its_end_are_written() {
    let blocked = Claim::blocked(SEAT, fixtures::id());
    assert_eq!(settle(Locker::Operators, vec![vec![blocked], vec![blocked]]).await, [Call::Blocked]);
    assert_eq!(settle(Locker::Operators, vec![vec![], vec![]]).await, [Call::Unblocked]);
}

#[tokio::test]
async fn the_last_of_a_concurrent_block_and_hold_is_written() {
    let owner = fixtures::id();
    let blocked = Claim::blocked(SEAT, fixtures::id());
    let calls = settle(Locker::Operators, vec![vec![blocked], vec![held(owner)], vec![held(owner)]]).await;
    assert_eq!(
        calls,
        [Call::Blocked, Call::Held(owner), Call::Unblocked],
        "an unblock that does not affect a held seat"
    );
    let calls = settle(Locker::Fan(owner), vec![vec![held(owner)], vec![blocked], vec![blocked]]).await;
    assert_eq!(calls, [Call::Held(owner), Call::Blocked, Call::Freed(owner), Call::Freed(owner)]);
}
