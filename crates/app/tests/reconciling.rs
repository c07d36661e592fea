//! Seat locks that are not what the claims say.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use encore_app::seat_reconciliation::SeatReconciliation;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_repair::NOBODY;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatState, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{MockClock, MockReservations, MockSeatLocks};
use encore_port_tests::fixtures;

/// The locks of three seats, in process.
#[derive(Default)]
struct Seats {
    statuses: Vec<Option<SeatStatus>>,
    owners: Vec<Option<ReservationId>>,
}

struct Stage {
    reconciliation: SeatReconciliation,
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

impl Stage {
    fn new(seats: &str, owner: ReservationId, claims: Vec<Claim>) -> Self {
        let statuses = statuses(seats);
        let owners = statuses.iter().map(|status| (*status == Some(SeatStatus::Held)).then_some(owner)).collect();
        let seats = Arc::new(Mutex::new(Seats { statuses, owners }));
        let claims = Arc::new(Mutex::new(claims));
        let secs = Arc::<AtomicU64>::default();
        let mut clock = MockClock::new();
        let reading = Arc::clone(&secs);
        clock.expect_now().returning(move || fixtures::at_secs(reading.load(Ordering::SeqCst)));
        let clock = Arc::new(clock);
        let performance: PerformanceId = fixtures::id();
        let mut reservations = MockReservations::new();
        let all = Arc::clone(&claims);
        reservations.expect_claims().returning(move |_| Ok(all.lock().expect("no panic").clone()));
        let some = Arc::clone(&claims);
        reservations.expect_claims_on().returning(move |_, slots| {
            let claims = some.lock().expect("no panic");
            Ok(claims.iter().filter(|claim| slots.contains(&claim.slot)).copied().collect())
        });
        let reconciliation = SeatReconciliation::new(Arc::new(locks(&seats)), Arc::new(reservations), clock);
        Self { reconciliation, performance, seats, claims, secs }
    }

    /// Looks at a second, and says what the seats are then.
    async fn look_at(&self, secs: u64) -> Vec<Option<SeatStatus>> {
        self.secs.store(secs, Ordering::SeqCst);
        self.reconciliation.reconcile(&[self.performance]).await.expect("the stores answer");
        self.seats.lock().expect("no panic").statuses.clone()
    }
}

fn locks(seats: &Arc<Mutex<Seats>>) -> MockSeatLocks {
    let mut locks = MockSeatLocks::new();
    let read = Arc::clone(seats);
    locks
        .expect_snapshot()
        .returning(move |_| Ok(Some(SeatState { statuses: read.lock().expect("no panic").statuses.clone(), version: 1 })));
    let read = Arc::clone(seats);
    locks.expect_holders().returning(move |_, slots| {
        let seats = read.lock().expect("no panic");
        let lock = |slot: &Slot| Some(SeatLock::held(*slot, seats.owners[slot.0 as usize]?, fixtures::at_secs(300)));
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
    let slot = Slot(slot);
    if held { Claim::held(slot, reservation, fixtures::at_secs(300)) } else { Claim::sold(slot, reservation) }
}

#[tokio::test]
async fn what_is_as_claimed_is_left_alone() {
    let owner = fixtures::id();
    let stage = Stage::new("ahs", owner, vec![claim(1, owner, true), claim(2, owner, false)]);
    assert_eq!(stage.look_at(0).await, statuses("ahs"));
    assert_eq!(stage.look_at(60).await, statuses("ahs"));
    assert_eq!(stage.reconciliation.repairs(), 0);
}

#[tokio::test]
async fn what_is_claimed_and_not_shown_is_repaired_when_it_is_not_on_its_way() {
    let (owner, other) = (fixtures::id(), fixtures::id());
    let claims = vec![claim(0, other, true), claim(1, other, true), claim(2, other, false)];
    let stage = Stage::new("ahh", owner, claims);
    assert_eq!(stage.look_at(0).await, statuses("ahh"));
    assert_eq!(stage.look_at(4).await, statuses("ahh"));
    assert_eq!(stage.look_at(5).await, statuses("hhs"));
    assert_eq!(stage.seats.lock().expect("no panic").owners, [Some(other), Some(other), None]);
    assert_eq!(stage.reconciliation.repairs(), 3);
    stage.look_at(60).await;
    assert_eq!(stage.reconciliation.repairs(), 3);
}

#[tokio::test]
async fn what_nobody_has_becomes_free_when_no_hold_can_be_under_way() {
    let stage = Stage::new("ahs", fixtures::id(), vec![]);
    assert_eq!(stage.look_at(0).await, statuses("ahs"));
    assert_eq!(stage.look_at(14).await, statuses("ahs"));
    assert_eq!(stage.look_at(15).await, statuses("aaa"));
    assert_eq!(stage.reconciliation.repairs(), 2);
    assert!(!stage.seats.lock().expect("no panic").owners.contains(&Some(NOBODY)));
}

#[tokio::test]
async fn a_difference_that_goes_by_itself_begins_anew_when_it_comes_back() {
    let owner = fixtures::id();
    let stage = Stage::new("aha", owner, vec![]);
    stage.look_at(0).await;
    stage.claims.lock().expect("no panic").push(claim(1, owner, true));
    stage.look_at(10).await;
    stage.claims.lock().expect("no panic").clear();
    assert_eq!(stage.look_at(20).await, statuses("aha"));
    assert_eq!(stage.look_at(35).await, statuses("aaa"));
}

#[tokio::test]
async fn blocks_that_are_not_shown_and_shown_that_are_not_are_repaired() {
    let owner = fixtures::id();
    let blocked = |slot| Claim::blocked(Slot(slot), fixtures::id());
    let stage = Stage::new("ahsbb", owner, vec![blocked(0), blocked(1), blocked(2), claim(3, owner, true)]);
    assert_eq!(stage.look_at(0).await, statuses("ahsbb"));
    assert_eq!(stage.look_at(4).await, statuses("ahsbb"));
    assert_eq!(stage.look_at(5).await, statuses("bbbhb"), "nobody has the last: that may be a block under way");
    assert_eq!(stage.look_at(15).await, statuses("bbbha"));
    assert_eq!(stage.reconciliation.repairs(), 5);
    stage.look_at(60).await;
    assert_eq!(stage.reconciliation.repairs(), 5);
}
