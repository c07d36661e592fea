//! Repair of locks that differ from the claims.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use encore_domain::booking::Claim;
use encore_domain::booking::seat_repair::NOBODY;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatState, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{MockCatalog, MockClock, MockReservations, MockSeatChanges, MockSeatLocks};
use encore_port_tests::fixtures;
use encore_seat_map::contexts::PerformanceContexts;
use encore_seat_map::{SeatMap, SeatMapParts};

/// The locks of some seats, in process.
#[derive(Default)]
struct Seats {
    statuses: Vec<Option<SeatStatus>>,
    owners: Vec<Option<ReservationId>>,
}

/// A seat map of one performance, with a clock that the test sets.
struct Fixture {
    map: SeatMap,
    performance: PerformanceId,
    seats: Arc<Mutex<Seats>>,
    claims: Arc<Mutex<Vec<Claim>>>,
    secs: Arc<AtomicU64>,
}

/// States as they are written here: `a` is a free seat, `h` held, `s` sold, `b` blocked.
fn statuses(written: &str) -> Vec<Option<SeatStatus>> {
    let status = |letter| match letter {
        'a' => SeatStatus::Free,
        'h' => SeatStatus::Held,
        's' => SeatStatus::Sold,
        'b' => SeatStatus::Blocked,
        other => panic!("no status is written {other:?}"),
    };
    written.chars().map(status).map(Some).collect()
}

impl Fixture {
    fn new(seats: &str, owner: ReservationId, claims: Vec<Claim>) -> Self {
        let statuses = statuses(seats);
        let owners = statuses.iter().map(|status| (*status == Some(SeatStatus::Held)).then_some(owner)).collect();
        let seats = Arc::new(Mutex::new(Seats { statuses, owners }));
        let claims = Arc::new(Mutex::new(claims));
        let secs = Arc::<AtomicU64>::default();
        let mut clock = MockClock::new();
        let reading = Arc::clone(&secs);
        clock.expect_now().returning(move || fixtures::at_secs(reading.load(Ordering::SeqCst)));
        let mut reservations = MockReservations::new();
        let all = Arc::clone(&claims);
        reservations.expect_claims().returning(move |_| Ok(all.lock().expect("no panic").clone()));
        let some = Arc::clone(&claims);
        reservations.expect_claims_on().returning(move |_, slots| {
            let claims = some.lock().expect("no panic");
            Ok(claims.iter().filter(|claim| slots.contains(&claim.slot)).copied().collect())
        });
        let map = SeatMap::new(SeatMapParts {
            locks: Arc::new(locks(&seats)),
            changes: Arc::new(MockSeatChanges::new()),
            reservations: Arc::new(reservations),
            contexts: PerformanceContexts::new(Arc::new(MockCatalog::new())),
            clock: Arc::new(clock),
        });
        Self { map, performance: fixtures::id(), seats, claims, secs }
    }

    /// Repairs at a second, and returns the state of the seats after it.
    async fn repair_at(&self, secs: u64) -> Vec<Option<SeatStatus>> {
        self.secs.store(secs, Ordering::SeqCst);
        self.map.repair(&[self.performance]).await.expect("the stores answer");
        self.seats.lock().expect("no panic").statuses.clone()
    }
}

fn locks(seats: &Arc<Mutex<Seats>>) -> MockSeatLocks {
    let mut locks = MockSeatLocks::new();
    let read = Arc::clone(seats);
    locks.expect_snapshot().returning(move |_| {
        Ok(Some(SeatState { statuses: read.lock().expect("no panic").statuses.clone(), version: 1 }))
    });
    let read = Arc::clone(seats);
    locks.expect_holders().returning(move |_, slots| {
        let seats = read.lock().expect("no panic");
        let lock = |slot: &Slot| {
            let owner = seats.owners[slot.0 as usize]?;
            Some(SeatLock::held(*slot, owner, fixtures::fan_of(owner), fixtures::at_secs(300)))
        };
        Ok(slots.iter().filter_map(lock).collect())
    });
    let marked = Arc::clone(seats);
    locks.expect_mark().returning(move |_, locks| {
        let mut seats = marked.lock().expect("no panic");
        for lock in locks {
            seats.statuses[lock.slot.0 as usize] = Some(lock.owner.status());
            seats.owners[lock.slot.0 as usize] = match lock.owner {
                SeatOwner::Holder { reservation, .. } => Some(reservation),
                SeatOwner::Buyer { .. } | SeatOwner::Operators { .. } => None,
            };
        }
        Ok(None)
    });
    let unblocked = Arc::clone(seats);
    locks.expect_unblock().returning(move |_, slots| {
        let mut seats = unblocked.lock().expect("no panic");
        for slot in slots {
            if seats.statuses[slot.0 as usize] == Some(SeatStatus::Blocked) {
                seats.statuses[slot.0 as usize] = Some(SeatStatus::Free);
            }
        }
        Ok(None)
    });
    let released = Arc::clone(seats);
    locks.expect_release().returning(move |_, slots, owner| {
        let mut seats = released.lock().expect("no panic");
        for slot in slots {
            if seats.owners[slot.0 as usize] == Some(owner) {
                seats.owners[slot.0 as usize] = None;
                seats.statuses[slot.0 as usize] = Some(SeatStatus::Free);
            }
        }
        Ok(None)
    });
    locks
}

fn claim(slot: u32, reservation: ReservationId, held: bool) -> Claim {
    let (slot, fan) = (Slot(slot), fixtures::fan_of(reservation));
    if held { Claim::held(slot, reservation, fan, fixtures::at_secs(300)) } else { Claim::sold(slot, reservation, fan) }
}

#[tokio::test(start_paused = true)]
async fn locks_that_agree_with_the_claims_are_not_repaired() {
    let owner = fixtures::id();
    let fixture = Fixture::new("ahs", owner, vec![claim(1, owner, true), claim(2, owner, false)]);
    assert_eq!(fixture.repair_at(0).await, statuses("ahs"));
    assert_eq!(fixture.repair_at(60).await, statuses("ahs"));
    assert_eq!(fixture.map.repaired(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_not_shown_is_repaired_after_its_grace() {
    let (owner, other) = (fixtures::id(), fixtures::id());
    let claims = vec![claim(0, other, true), claim(1, other, true), claim(2, other, false)];
    let fixture = Fixture::new("ahh", owner, claims);
    assert_eq!(fixture.repair_at(0).await, statuses("ahh"));
    assert_eq!(fixture.repair_at(4).await, statuses("ahh"));
    assert_eq!(fixture.repair_at(5).await, statuses("hhs"));
    assert_eq!(fixture.seats.lock().expect("no panic").owners, [Some(other), Some(other), None]);
    assert_eq!(fixture.map.repaired(), 3);
    fixture.repair_at(60).await;
    assert_eq!(fixture.map.repaired(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lock_without_a_claim_is_freed_after_a_longer_grace() {
    let fixture = Fixture::new("ahs", fixtures::id(), vec![]);
    assert_eq!(fixture.repair_at(0).await, statuses("ahs"));
    assert_eq!(fixture.repair_at(14).await, statuses("ahs"));
    assert_eq!(fixture.repair_at(15).await, statuses("aaa"));
    assert_eq!(fixture.map.repaired(), 2);
    assert!(!fixture.seats.lock().expect("no panic").owners.contains(&Some(NOBODY)));
}

#[tokio::test(start_paused = true)]
async fn the_grace_restarts_when_a_difference_was_gone_in_between() {
    let owner = fixtures::id();
    let fixture = Fixture::new("aha", owner, vec![]);
    fixture.repair_at(0).await;
    fixture.claims.lock().expect("no panic").push(claim(1, owner, true));
    fixture.repair_at(10).await;
    fixture.claims.lock().expect("no panic").clear();
    assert_eq!(fixture.repair_at(20).await, statuses("aha"));
    assert_eq!(fixture.repair_at(35).await, statuses("aaa"));
}

#[tokio::test(start_paused = true)]
async fn blocks_are_repaired_in_both_directions() {
    let owner = fixtures::id();
    let blocked = |slot| Claim::blocked(Slot(slot), fixtures::id());
    let fixture = Fixture::new("ahsbb", owner, vec![blocked(0), blocked(1), blocked(2), claim(3, owner, true)]);
    assert_eq!(fixture.repair_at(0).await, statuses("ahsbb"));
    assert_eq!(fixture.repair_at(4).await, statuses("ahsbb"));
    assert_eq!(fixture.repair_at(5).await, statuses("bbbhb"), "the last has no claim: its block may be in progress");
    assert_eq!(fixture.repair_at(15).await, statuses("bbbha"));
    assert_eq!(fixture.map.repaired(), 5);
    fixture.repair_at(60).await;
    assert_eq!(fixture.map.repaired(), 5);
}
