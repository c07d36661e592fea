//! Finding and repairing seats whose lock differs from their claim, for whatever reason.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_bulkhead::Bulkhead;
use encore_domain::booking::seat_repair::{Difference, NOBODY, NOBODYS_USER, differences};
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::warn;

use crate::mutex::lock;
use crate::pauses::Pauses;
use crate::settling::Settling;

/// How long the lock of a claimed seat may differ from the claim. A write to the locks that was lost is repeated within this
/// time by the sweep that is responsible for it.
const CLAIMED_GRACE: Duration = Duration::from_secs(5);
/// How long a lock may be without a claim: longer than a call may take to place its hold.
const UNCLAIMED_GRACE: Duration = Duration::from_secs(15);
/// How many seats are repaired in one step.
const BATCH: usize = 500;
/// The longest repair reads 100,000 claims and writes as many locks.
const DEADLINE: Duration = Duration::from_mins(1);
/// How many performances of an instance read all their claims at once: a part of its connections, which holds need too.
const READ_AT_ONCE: usize = 4;

/// The differences of a performance, each with the time at which it was first seen.
type FirstSeen = HashMap<Difference, Timestamp>;

/// Compares locks with claims. A difference may belong to a call in progress. It is repaired when it has been seen for longer
/// than any call takes.
#[derive(Clone)]
pub(crate) struct Repair {
    settling: Settling,
    clock: Arc<dyn Clock>,
    bulkhead: Bulkhead,
    /// Limits how many performances read all their claims at once.
    reading: Arc<Semaphore>,
    first_seen: Arc<Mutex<HashMap<PerformanceId, FirstSeen>>>,
    pauses: Arc<Pauses>,
    repaired: Arc<AtomicU64>,
}

impl Repair {
    pub(crate) fn new(settling: Settling, clock: Arc<dyn Clock>) -> Self {
        let bulkhead = Bulkhead::new("seat lock repair", DEADLINE);
        let reading = Arc::new(Semaphore::new(READ_AT_ONCE));
        let (first_seen, pauses, repaired) = (Arc::default(), Arc::default(), Arc::default());
        Self { settling, clock, bulkhead, reading, first_seen, pauses, repaired }
    }

    /// How many seats this instance has repaired.
    pub(crate) fn repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    /// Compares each performance once, side by side, unless it was compared a moment ago. One that fails or hangs delays no other; the
    /// first error is returned.
    pub(crate) async fn run(&self, performances: &[PerformanceId]) -> Result<(), Unavailable> {
        lock(&self.first_seen).retain(|performance, _| performances.contains(performance));
        let due = performances.iter().filter(|performance| self.pauses.are_over(**performance));
        let compare = |performance| {
            let repair = self.clone();
            async move { repair.compare(performance).await }
        };
        self.bulkhead.run(due.map(|performance| (*performance, *performance)), compare).await
    }

    /// Compares one performance if its locks are loaded. Otherwise they will be loaded from the claims.
    async fn compare(&self, performance: PerformanceId) -> Result<(), Unavailable> {
        let Settling { locks, reservations } = &self.settling;
        // The locks are read first, because those of many performances may hang together.
        let Some(state) = locks.snapshot(performance).await? else { return Ok(()) };
        // It is never closed.
        let permit = self.reading.acquire().await;
        let began = Instant::now();
        let claims = reservations.claims(performance).await?;
        drop(permit);
        let held = (0..).map(Slot).zip(&state.statuses).filter(|(_, status)| **status == Some(SeatStatus::Held));
        let held: Vec<Slot> = held.map(|(slot, _)| slot).collect();
        let holders = locks.holders(performance, &held).await?;
        let due = self.due(performance, &differences(&state, &holders, &claims));
        for seats in due.chunks(BATCH) {
            self.repair(performance, seats).await?;
        }
        self.pauses.begin(performance, began.elapsed());
        Ok(())
    }

    /// The differences whose grace is over. Those that were not seen again are forgotten.
    fn due(&self, performance: PerformanceId, seen: &[Difference]) -> Vec<Difference> {
        let now = self.clock.now();
        let mut first_seen = lock(&self.first_seen);
        let before = first_seen.remove(&performance).unwrap_or_default();
        let since = |difference: &Difference| before.get(difference).copied().unwrap_or(now);
        let seen: FirstSeen = seen.iter().map(|difference| (*difference, since(difference))).collect();
        let is_due = |difference: &Difference, since: Timestamp| {
            now >= since + if difference.claimant.is_some() { CLAIMED_GRACE } else { UNCLAIMED_GRACE }
        };
        let due = seen.iter().filter(|(difference, since)| is_due(difference, **since));
        let due: Vec<Difference> = due.map(|(difference, _)| *difference).collect();
        if !seen.is_empty() {
            first_seen.insert(performance, seen);
        }
        due
    }

    /// Writes the claims of these seats to their locks. A sold seat without a claim cannot be released, because it has no
    /// holder: it is first marked as held by [`NOBODY`].
    async fn repair(&self, performance: PerformanceId, seats: &[Difference]) -> Result<(), Unavailable> {
        let sold_unclaimed = |seat: &&Difference| seat.shown == SeatStatus::Sold && seat.claimant.is_none();
        let now = self.clock.now();
        let released: Vec<SeatLock> = seats
            .iter()
            .filter(sold_unclaimed)
            .map(|seat| SeatLock::held(seat.slot, NOBODY, NOBODYS_USER, now))
            .collect();
        self.settling.locks.mark(performance, &released).await?;
        let owner = |seat: &Difference| (seat.slot, seat.holder.or(seat.claimant).unwrap_or(Locker::Fan(NOBODY)));
        self.settling.settle(performance, seats.iter().map(owner).collect()).await?;
        let repaired = seats.len();
        warn!(%performance, repaired, first = ?seats.first(), "seat locks differed from the claims; repaired");
        let repaired = u64::try_from(repaired).unwrap_or(u64::MAX);
        counter!("encore_seat_locks_repaired_total").increment(repaired);
        self.repaired.fetch_add(repaired, Ordering::Relaxed);
        Ok(())
    }
}
