//! Reading seats from the locks, which are loaded from the claims where necessary, or from the claims alone.

use std::collections::HashSet;
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatLock, SeatState, SeatStock, StockAt, show_locks};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Reservations, SeatLocks};
use futures::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use crate::contexts::{ContextError, PerformanceContext, PerformanceContexts};
use crate::error::SeatMapError;
use crate::loading::{Loader, first_version};
use crate::settling::Settling;

/// How many units of a general admission area the first query reads.
const FIRST_UNITS: u32 = 64;
/// By how much each query reads more units than the one before. A full area of 50,000 units takes six queries.
const UNITS_GROWTH: u32 = 4;
/// How many performances are counted at once.
const COUNTED_AT_ONCE: usize = 64;

/// Reads seats from the locks or from the claims.
#[derive(Clone)]
pub(crate) struct SeatReader {
    locks: Arc<dyn SeatLocks>,
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    clock: Arc<dyn Clock>,
    loader: Loader,
}

impl SeatReader {
    pub(crate) fn new(settling: Settling, contexts: PerformanceContexts, clock: Arc<dyn Clock>) -> Self {
        let Settling { locks, reservations } = settling.clone();
        let loader = Loader::new(settling, Arc::clone(&clock));
        Self { locks, reservations, contexts, clock, loader }
    }

    /// The performance with its concert and venue.
    pub(crate) async fn context(&self, performance: PerformanceId) -> Result<PerformanceContext, ContextError> {
        self.contexts.context(performance).await
    }

    /// The state of all seats in the locks.
    pub(crate) async fn live(&self, context: &PerformanceContext) -> Result<SeatState, Unavailable> {
        let performance = context.performance.id;
        if let Some(state) = self.locks.snapshot(performance).await? {
            return Ok(state);
        }
        self.load(context).await?;
        let loaded = self.locks.snapshot(performance).await?;
        loaded.ok_or_else(|| Unavailable::of("the seat map"))
    }

    /// The state of all seats in the claims. Its version is higher than any that the locks have reached.
    pub(crate) async fn claimed(&self, context: &PerformanceContext) -> Result<SeatState, Unavailable> {
        let version = first_version(self.clock.now());
        let claims = self.reservations.claims(context.performance.id).await?;
        let locks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        let mut statuses = context.unsold();
        show_locks(&mut statuses, &locks);
        Ok(SeatState { statuses, version })
    }

    /// The first units without a claim. It reads a few units from where the search begins, and more where those are claimed.
    /// All claims of an area are read only when it is nearly full.
    pub(crate) async fn claimable_units(
        &self,
        performance: PerformanceId,
        search: &UnitSearch,
    ) -> Result<Result<Vec<Slot>, TooFewLeft>, Unavailable> {
        let (mut free, mut seen, mut next) = (Vec::with_capacity(search.count), 0, FIRST_UNITS);
        while free.len() < search.count && seen < search.capacity {
            let slots: Vec<Slot> = search.slots(seen, next).collect();
            let claims = self.reservations.claims_on(performance, &slots).await?;
            let claimed: HashSet<Slot> = claims.iter().map(|claim| claim.slot).collect();
            free.extend(slots.into_iter().filter(|slot| !claimed.contains(slot)));
            (seen, next) = (seen + next, next * UNITS_GROWTH);
        }
        if free.len() < search.count {
            return Ok(Err(TooFewLeft { left: u32::try_from(free.len()).unwrap_or(u32::MAX) }));
        }
        free.truncate(search.count);
        free.sort_unstable();
        Ok(Ok(free))
    }

    /// The counts in the locks of a performance; none where they are not loaded.
    pub(crate) async fn counted(&self, performance: PerformanceId) -> Result<Option<StockAt>, Unavailable> {
        Ok(self.locks.stock(&[performance]).await?.into_iter().next().flatten())
    }

    /// How many seats are free and how many held, in the order of `performances`. It counts the claims of those whose locks are
    /// unavailable or not loaded. Each is asked for on its own, since the locks of one may hang and those of another not.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, SeatMapError> {
        let stock = performances.iter().copied().map(|performance| self.stock_of(performance));
        stream::iter(stock).buffered(COUNTED_AT_ONCE).try_collect().await
    }

    async fn stock_of(&self, performance: PerformanceId) -> Result<SeatStock, SeatMapError> {
        let counted = self.counted(performance).await.unwrap_or_else(|unavailable| {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks unavailable; counting claims");
            None
        });
        match counted {
            Some(StockAt { stock, .. }) => Ok(stock),
            None => Ok(self.claimed(&self.context(performance).await?).await?.stock()),
        }
    }

    /// Loads the locks from the claims, or waits until another instance has loaded them.
    pub(crate) async fn load(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        self.loader.load(context).await
    }
}
