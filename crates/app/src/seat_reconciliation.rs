//! Mending seat locks that are not what the claims say, whatever made them so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::seat_repair::{Difference, NOBODY, differences};
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Reservations, SeatLocks};
use encore_domain::time::Timestamp;
use tracing::warn;

use crate::error::AppError;
use crate::seat_replica::lock;
use crate::seat_settling::SeatSettling;

/// How long a seat that is claimed may be shown as something else: a word to the locks that was lost is said again within
/// this time, by whoever repeats it.
const ACCEPTED_GRACE: Duration = Duration::from_secs(5);
/// How long a lock may be without a claim: longer than a call may take to place its hold.
const UNACCEPTED_GRACE: Duration = Duration::from_secs(15);
/// How many seats are repaired at once.
const REPAIRED_AT_ONCE: usize = 500;
/// The differences of a performance, each since when it has been seen.
type Suspects = HashMap<Difference, Timestamp>;

/// Compares the locks with the claims, again and again. What differs may be on its way, so it is repaired when it has been seen
/// for longer than anything takes.
#[derive(Clone)]
pub struct SeatReconciliation {
    settling: SeatSettling,
    clock: Arc<dyn Clock>,
    suspects: Arc<Mutex<HashMap<PerformanceId, Suspects>>>,
    repairs: Arc<AtomicU64>,
}

impl SeatReconciliation {
    /// Suspects nothing yet.
    pub fn new(locks: Arc<dyn SeatLocks>, reservations: Arc<dyn Reservations>, clock: Arc<dyn Clock>) -> Self {
        let settling = SeatSettling { locks, reservations };
        Self { settling, clock, suspects: Arc::default(), repairs: Arc::default() }
    }

    /// How many seats this instance has repaired.
    pub fn repairs(&self) -> u64 {
        self.repairs.load(Ordering::Relaxed)
    }

    /// Looks once at every performance on sale, one after the other. One that cannot be read does not keep the others from
    /// it.
    pub async fn reconcile(&self, on_sale: &[PerformanceId]) -> Result<(), AppError> {
        lock(&self.suspects).retain(|performance, _| on_sale.contains(performance));
        let mut outcome = Ok(());
        for performance in on_sale {
            outcome = outcome.and(self.look(*performance).await);
        }
        Ok(outcome?)
    }

    /// Compares one performance, if its seats are loaded; what is not will be loaded from the claims.
    async fn look(&self, performance: PerformanceId) -> Result<(), Unavailable> {
        let SeatSettling { locks, reservations } = &self.settling;
        let claims = reservations.claims(performance).await?;
        let Some(state) = locks.snapshot(performance).await? else { return Ok(()) };
        let held = (0..).map(Slot).zip(&state.statuses).filter(|(_, status)| **status == Some(SeatStatus::Held));
        let held: Vec<Slot> = held.map(|(slot, _)| slot).collect();
        let holders = locks.holders(performance, &held).await?;
        let due = self.due(performance, &differences(&state, &holders, &claims));
        for some in due.chunks(REPAIRED_AT_ONCE) {
            self.repair(performance, some).await?;
        }
        Ok(())
    }

    /// The differences that have been there for long enough. Those that are gone are forgotten.
    fn due(&self, performance: PerformanceId, seen: &[Difference]) -> Vec<Difference> {
        let now = self.clock.now();
        let mut suspects = lock(&self.suspects);
        let before = suspects.remove(&performance).unwrap_or_default();
        let since = |difference: &Difference| before.get(difference).copied().unwrap_or(now);
        let seen: Suspects = seen.iter().map(|difference| (*difference, since(difference))).collect();
        let is_due = |difference: &Difference, since: Timestamp| {
            now >= since + if difference.claimant.is_some() { ACCEPTED_GRACE } else { UNACCEPTED_GRACE }
        };
        let due = seen.iter().filter(|(difference, since)| is_due(difference, **since));
        let due: Vec<Difference> = due.map(|(difference, _)| *difference).collect();
        if !seen.is_empty() {
            suspects.insert(performance, seen);
        }
        due
    }

    async fn repair(&self, performance: PerformanceId, seats: &[Difference]) -> Result<(), Unavailable> {
        let to_nobody = |seat: &&Difference| seat.shown == SeatStatus::Sold && seat.claimant.is_none();
        let now = self.clock.now();
        let freed: Vec<SeatLock> =
            seats.iter().filter(to_nobody).map(|seat| SeatLock::held(seat.slot, NOBODY, now)).collect();
        self.settling.locks.mark(performance, &freed).await?;
        let owner = |seat: &Difference| (seat.slot, seat.holder.or(seat.claimant).unwrap_or(Locker::Fan(NOBODY)));
        self.settling.settle(performance, seats.iter().map(owner).collect()).await?;
        let repaired = seats.len();
        warn!(%performance, repaired, first = ?seats.first(), "seat locks were not what the claims say, and are repaired");
        self.repairs.fetch_add(u64::try_from(repaired).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(())
    }
}
