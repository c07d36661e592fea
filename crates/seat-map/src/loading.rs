//! Loading seat locks from the claims when somebody misses them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{Locker, SeatLock, all_free};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use moka::future::Cache;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::contexts::PerformanceContext;
use crate::seat_settling::SeatSettling;

/// How many performances may be loaded at once on an instance.
const LOADED_AT_ONCE: u64 = 1_000;
/// How long an instance may take to load; it takes a second for 100,000 claims. Afterwards another may.
const LOADED_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait for another instance that loads. Who has waited goes on without the locks.
const OTHERS_PATIENCE: Duration = Duration::from_secs(1);
/// How often to look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Loads seats: one reading of the claims at a time, whatever crowd misses them.
#[derive(Clone)]
pub(crate) struct SeatLoading {
    settling: SeatSettling,
    clock: Arc<dyn Clock>,
    /// What is being loaded here. Who comes meanwhile waits for the same outcome, which is not kept.
    under_way: Cache<PerformanceId, ()>,
}

impl SeatLoading {
    pub(crate) fn new(settling: SeatSettling, clock: Arc<dyn Clock>) -> Self {
        Self { settling, clock, under_way: Cache::new(LOADED_AT_ONCE) }
    }

    /// Loads the seats, or waits until somebody has.
    pub(crate) async fn load(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let performance = context.performance.id;
        let loaded = self.under_way.try_get_with(performance, self.load_or_wait(context)).await;
        self.under_way.invalidate(&performance).await;
        loaded.map_err(|unavailable| Unavailable::new(unavailable.what, unavailable.to_string()))
    }

    async fn load_or_wait(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let (performance, now) = (context.performance.id, self.clock.now());
        if self.settling.locks.may_load(performance, now, now + LOADED_WITHIN).await? {
            return self.load_now(context).await;
        }
        let patience = Instant::now() + OTHERS_PATIENCE;
        while Instant::now() < patience {
            if self.settling.locks.stock(&[performance]).await?.iter().any(Option::is_some) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(Unavailable::of("the seat map"))
    }

    /// Holds go on meanwhile, on the claims alone, and so do releases and payments. What they did to claims after these were
    /// read and before the locks were there to be told is made up for.
    async fn load_now(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        let SeatSettling { locks, reservations } = &self.settling;
        let (performance, began) = (context.performance.id, Instant::now());
        let claims = reservations.claims(performance).await?;
        let marks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        locks.load(performance, &all_free(&context.venue.chart), &marks, first_version(self.clock.now())).await?;
        let changed = changed(&claims, &reservations.claims(performance).await?);
        info!(%performance, claims = claims.len(), changed = changed.len(), took = ?began.elapsed(), "seats are loaded");
        if changed.is_empty() { Ok(()) } else { self.settling.settle(performance, changed).await }
    }
}

/// The seats of which claims came, went or changed, with everybody who had or has one.
fn changed(before: &[Claim], after: &[Claim]) -> Vec<(Slot, Locker)> {
    let key = |claim: &Claim| (claim.slot, claim.owner);
    let (were, are): (HashSet<_>, HashSet<_>) = (before.iter().map(key).collect(), after.iter().map(key).collect());
    were.symmetric_difference(&are).map(|(slot, owner)| (*slot, owner.locker())).collect()
}

/// The version that a load begins with: microseconds since 1970. Seats never change a million times a second for long, so
/// this is beyond every version of the load before, and what is told of before and after a load is never confused.
pub(crate) fn first_version(now: Timestamp) -> u64 {
    u64::try_from(now.timestamp_micros()).unwrap_or_default()
}
