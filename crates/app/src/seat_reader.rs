//! Reading live seats: from the locks, which are loaded from the claims where they are missing, or from the claims alone.

use std::collections::HashSet;
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatLock, SeatState, SeatStock, StockAt, all_free, show_locks};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Reservations, SeatLocks};
use tracing::warn;

use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::seat_loading::{SeatLoading, first_version};
use crate::seat_settling::SeatSettling;

/// How many claims of a general admission area are asked for at first.
const UNITS_LOOKED_AT: u32 = 64;
/// How many times as many next: an area of 50,000 that is full is six questions.
const UNITS_GROWTH: u32 = 4;

/// Reads live seats.
#[derive(Clone)]
pub(crate) struct SeatReader {
    locks: Arc<dyn SeatLocks>,
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    clock: Arc<dyn Clock>,
    loading: SeatLoading,
}

impl SeatReader {
    pub(crate) fn new(
        locks: Arc<dyn SeatLocks>,
        reservations: Arc<dyn Reservations>,
        contexts: PerformanceContexts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let settling = SeatSettling { locks: Arc::clone(&locks), reservations: Arc::clone(&reservations) };
        let loading = SeatLoading::new(settling, Arc::clone(&clock));
        Self { locks, reservations, contexts, clock, loading }
    }

    /// The performance with its concert and venue.
    pub(crate) async fn context(&self, performance: PerformanceId) -> Result<PerformanceContext, AppError> {
        self.contexts.context(performance).await
    }

    /// What the locks say of all seats.
    pub(crate) async fn live(&self, context: &PerformanceContext) -> Result<SeatState, Unavailable> {
        let performance = context.performance.id;
        if let Some(state) = self.locks.snapshot(performance).await? {
            return Ok(state);
        }
        self.load(context).await?;
        let loaded = self.locks.snapshot(performance).await?;
        loaded.ok_or_else(|| Unavailable::of("the seat map"))
    }

    /// What the claims say of all seats, under a version beyond all that the locks have reached.
    pub(crate) async fn claimed(&self, context: &PerformanceContext) -> Result<SeatState, Unavailable> {
        let version = first_version(self.clock.now());
        let claims = self.reservations.claims(context.performance.id).await?;
        let locks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        let mut statuses = all_free(&context.venue.chart);
        show_locks(&mut statuses, &locks);
        Ok(SeatState { statuses, version })
    }

    /// The first units that nobody has a claim on. It looks at a few from where the search begins, and at more where these are
    /// claimed, so that it reads all claims of an area only when it is nearly full.
    pub(crate) async fn claimable_units(
        &self,
        performance: PerformanceId,
        search: &UnitSearch,
    ) -> Result<Result<Vec<Slot>, TooFewLeft>, Unavailable> {
        let (mut free, mut seen, mut piece) = (Vec::with_capacity(search.count), 0, UNITS_LOOKED_AT);
        while free.len() < search.count && seen < search.capacity {
            let slots: Vec<Slot> = search.slots(seen, piece).collect();
            let claims = self.reservations.claims_on(performance, &slots).await?;
            let claimed: HashSet<Slot> = claims.iter().map(|claim| claim.slot).collect();
            free.extend(slots.into_iter().filter(|slot| !claimed.contains(slot)));
            (seen, piece) = (seen + piece, piece * UNITS_GROWTH);
        }
        if free.len() < search.count {
            return Ok(Err(TooFewLeft { left: u32::try_from(free.len()).unwrap_or(u32::MAX) }));
        }
        free.truncate(search.count);
        free.sort_unstable();
        Ok(Ok(free))
    }

    /// What the locks count of a performance; none where they are not loaded.
    pub(crate) async fn counted(&self, performance: PerformanceId) -> Result<Option<StockAt>, Unavailable> {
        Ok(self.locks.stock(&[performance]).await?.into_iter().next().flatten())
    }

    /// How many seats are free and how many held, in the order asked. While the locks are away, the claims are counted.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, AppError> {
        let counts = match self.locks.stock(performances).await {
            Ok(counts) => counts,
            Err(unavailable) => {
                warn!(error = &unavailable as &dyn std::error::Error, "seat locks are away; the claims are counted");
                vec![None; performances.len()]
            }
        };
        let mut stock = Vec::with_capacity(counts.len());
        for (performance, count) in performances.iter().zip(counts) {
            stock.push(match count {
                Some(StockAt { stock, .. }) => stock,
                None => self.claimed(&self.context(*performance).await?).await?.stock(),
            });
        }
        Ok(stock)
    }

    /// Loads the locks from the claims, or waits until somebody has.
    pub(crate) async fn load(&self, context: &PerformanceContext) -> Result<(), Unavailable> {
        self.loading.load(context).await
    }
}
