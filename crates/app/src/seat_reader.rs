//! Reading live seats: from the locks, which are loaded from the claims where they are missing, or from the claims alone.

use std::sync::Arc;

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Reservations, SeatLocks};
use encore_domain::seat_state::{SeatLock, SeatState, SeatStock, StockAt, all_free, show_locks};
use encore_domain::time::Timestamp;
use tracing::warn;

use crate::error::AppError;
use crate::halls::{Hall, Halls};

/// Reads live seats.
#[derive(Clone)]
pub(crate) struct SeatReader {
    locks: Arc<dyn SeatLocks>,
    reservations: Arc<dyn Reservations>,
    halls: Halls,
    clock: Arc<dyn Clock>,
}

impl SeatReader {
    pub(crate) fn new(
        locks: Arc<dyn SeatLocks>,
        reservations: Arc<dyn Reservations>,
        halls: Halls,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { locks, reservations, halls, clock }
    }

    /// The performance with its concert and venue.
    pub(crate) async fn hall(&self, performance: PerformanceId) -> Result<Hall, AppError> {
        self.halls.hall(performance).await
    }

    /// What the locks say of all seats.
    pub(crate) async fn live(&self, hall: &Hall) -> Result<SeatState, Unavailable> {
        let performance = hall.performance.id;
        if let Some(state) = self.locks.snapshot(performance).await? {
            return Ok(state);
        }
        self.load(hall).await?;
        let loaded = self.locks.snapshot(performance).await?;
        loaded.ok_or_else(|| Unavailable::of("the seat map"))
    }

    /// What the claims say of all seats, under a version beyond all that the locks have reached.
    pub(crate) async fn claimed(&self, hall: &Hall) -> Result<SeatState, Unavailable> {
        let version = first_version(self.clock.now());
        let locks = self.claims(hall.performance.id).await?;
        let mut bytes = all_free(&hall.venue.chart);
        show_locks(&mut bytes, &locks);
        Ok(SeatState { bytes, version })
    }

    /// What the locks count of a performance; none where they are not loaded.
    pub(crate) async fn counted(&self, performance: PerformanceId) -> Result<Option<StockAt>, Unavailable> {
        Ok(self.locks.stock(&[performance]).await?.into_iter().next().flatten())
    }

    /// How many seats are free and how many held, in the order asked. While the locks are away, the claims are counted.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, AppError> {
        let counts = match self.locks.stock(performances).await {
            Ok(counts) => counts,
            Err(weather) => {
                warn!(error = &weather as &dyn std::error::Error, "seat locks are away; the claims are counted");
                vec![None; performances.len()]
            }
        };
        let mut stock = Vec::with_capacity(counts.len());
        for (performance, count) in performances.iter().zip(counts) {
            stock.push(match count {
                Some(StockAt { stock, .. }) => stock,
                None => self.claimed(&self.hall(*performance).await?).await?.stock(),
            });
        }
        Ok(stock)
    }

    /// Loads the locks from the claims, unless somebody has.
    pub(crate) async fn load(&self, hall: &Hall) -> Result<(), Unavailable> {
        let performance = hall.performance.id;
        let locks = self.claims(performance).await?;
        self.locks.load(performance, &all_free(&hall.venue.chart), &locks, first_version(self.clock.now())).await
    }

    async fn claims(&self, performance: PerformanceId) -> Result<Vec<SeatLock>, Unavailable> {
        Ok(self.reservations.claims(performance).await?.iter().map(SeatLock::from).collect())
    }
}

/// The version that a load begins with: microseconds since 1970. Seats never change a million times a second for long, so
/// this is beyond every version of the load before, and what is told of before and after a load is never confused.
fn first_version(now: Timestamp) -> u64 {
    u64::try_from(now.timestamp_micros()).unwrap_or_default()
}
