//! Loading the locks of a performance from its claims when a caller finds that they are not loaded.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{Locker, SeatLock};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use moka::future::Cache;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::contexts::PerformanceContext;
use crate::settling::Settling;

/// How many performances one instance loads concurrently.
const LOADS_MAX: u64 = 1_000;
/// How long an instance has the right to load. A load of 100,000 claims takes a second. Afterwards another instance may load.
const LOAD_LEASE: Duration = Duration::from_secs(10);
/// How long a caller waits while another instance loads. After that the caller continues without the locks.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a waiting caller checks whether the locks are loaded.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Loads locks from claims. Per performance, one instance reads the claims, and all callers on it share that read.
#[derive(Clone)]
pub(crate) struct Loader {
    settling: Settling,
    clock: Arc<dyn Clock>,
    /// The loads in progress on this instance. Their outcomes are shared by those who wait and are not cached.
    in_progress: Cache<PerformanceId, ()>,
}

impl Loader {
    pub(crate) fn new(settling: Settling, clock: Arc<dyn Clock>) -> Self {
        Self { settling, clock, in_progress: Cache::new(LOADS_MAX) }
    }

    /// Loads the locks, or waits until another caller or instance has loaded them.
    pub(crate) async fn load(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let performance = context.performance.id;
        let loaded = self.in_progress.try_get_with(performance, self.load_or_wait(context)).await;
        self.in_progress.invalidate(&performance).await;
        loaded.map_err(|unavailable| Unavailable::new(unavailable.what, unavailable.to_string()))
    }

    async fn load_or_wait(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let (performance, now) = (context.performance.id, self.clock.now());
        if self.settling.locks.may_load(performance, now, now + LOAD_LEASE).await? {
            return self.load_now(context).await;
        }
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while Instant::now() < deadline {
            if self.settling.locks.stock(&[performance]).await?.iter().any(Option::is_some) {
                return Ok(());
            }
            sleep(POLL_EVERY).await;
        }
        Err(Unavailable::of("the seat map"))
    }

    /// Holds, releases and payments continue during the load, on the claims alone. Claims that change after they are read and
    /// before the locks are loaded are settled afterwards.
    async fn load_now(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let Settling { locks, reservations } = &self.settling;
        let (performance, began) = (context.performance.id, Instant::now());
        let claims = reservations.claims(performance).await?;
        let marks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        locks.load(performance, &context.unsold(), &marks, first_version(self.clock.now())).await?;
        let changed = changed(&claims, &reservations.claims(performance).await?);
        info!(%performance, claims = claims.len(), changed = changed.len(), took = ?began.elapsed(), "seat locks loaded");
        if changed.is_empty() { Ok(()) } else { self.settling.settle(performance, changed).await }
    }
}

/// The seats whose claims differ between two reads, each with every locker that had or has a claim on it.
fn changed(before: &[Claim], after: &[Claim]) -> Vec<(Slot, Locker)> {
    let key = |claim: &Claim| (claim.slot, claim.owner);
    let (before, after): (HashSet<_>, HashSet<_>) = (before.iter().map(key).collect(), after.iter().map(key).collect());
    before.symmetric_difference(&after).map(|(slot, owner)| (*slot, owner.locker())).collect()
}

/// The version that a load begins with: microseconds since 1970. The seats of a performance change less than a million times a
/// second, so that this version is higher than any version of an earlier load.
pub(crate) fn first_version(now: Timestamp) -> u64 {
    u64::try_from(now.timestamp_micros()).unwrap_or_default()
}
