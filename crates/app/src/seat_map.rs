//! The live seats of a performance: fast locks in front, claims behind.

use std::sync::Arc;

use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{Reservations, SeatLocks, TakeRefusal};
use encore_domain::seat_chart::Slot;
use encore_domain::seat_state::{SeatLock, SeatState, all_free};
use encore_domain::time::Timestamp;
use tracing::warn;

use crate::error::AppError;
use crate::halls::{Hall, Halls};

/// Seat locks that load themselves from the claims when they are missing.
#[derive(Clone)]
pub struct SeatMap {
    locks: Arc<dyn SeatLocks>,
    reservations: Arc<dyn Reservations>,
    halls: Halls,
}

impl SeatMap {
    /// Puts the map on its ports.
    pub fn new(locks: Arc<dyn SeatLocks>, reservations: Arc<dyn Reservations>, halls: Halls) -> Self {
        Self { locks, reservations, halls }
    }

    /// Locks seats, all or none.
    ///
    /// Returns `Ok` also when the locks are away: then only the claims decide, slower and still right.
    pub async fn take(
        &self,
        hall: &Hall,
        slots: &[Slot],
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<(), AppError> {
        let performance = hall.performance.id;
        let mut outcome = self.locks.take(performance, slots, owner, held_until).await;
        if matches!(outcome, Err(PortError::Refused(TakeRefusal::NotLoaded))) {
            self.load(hall).await?;
            outcome = self.locks.take(performance, slots, owner, held_until).await;
        }
        match outcome {
            Ok(_version) => Ok(()),
            Err(PortError::Refused(TakeRefusal::Taken { slots })) => Err(seats_taken(hall, &slots)),
            Err(PortError::Refused(TakeRefusal::NotLoaded) | PortError::RequestReused) => {
                warn!(%performance, "seat locks were lost while they were loaded; the claims decide");
                Ok(())
            }
            Err(PortError::Unavailable(weather)) => {
                warn!(%performance, error = &weather as &dyn std::error::Error, "seat locks are away; the claims decide");
                Ok(())
            }
        }
    }

    /// Frees seats that this owner holds. If the locks are away, a sweep frees them later.
    pub async fn release(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(weather) = self.locks.release(performance, slots, owner).await {
            warn!(%performance, error = &weather as &dyn std::error::Error, "seats stay locked until a sweep");
        }
    }

    /// Shows seats as sold.
    pub async fn mark_sold(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        let sold: Vec<SeatLock> = slots.iter().map(|slot| SeatLock { slot: *slot, owner, held_until: None }).collect();
        self.locks.mark(performance, &sold).await
    }

    /// Makes the locks say what the claims say about these seats: claimed ones are marked, and of the others those that this
    /// owner locked are freed.
    pub async fn settle(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        let locks: Vec<(Slot, ReservationId)> = slots.iter().map(|slot| (*slot, owner)).collect();
        self.settle_locks(performance, &locks).await
    }

    async fn settle_locks(
        &self,
        performance: PerformanceId,
        locks: &[(Slot, ReservationId)],
    ) -> Result<(), Unavailable> {
        let slots: Vec<Slot> = locks.iter().map(|(slot, _)| *slot).collect();
        let claims = self.reservations.claims_on(performance, &slots).await?;
        for (slot, owner) in locks {
            if claims.iter().all(|claim| claim.slot != *slot) {
                self.locks.release(performance, &[*slot], *owner).await?;
            }
        }
        let claimed: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        self.locks.mark(performance, &claimed).await
    }

    /// Frees or corrects locks whose hold should have ended by `before`: nobody released them, or an instance died
    /// between the lock and the claim. Answers how many there were.
    pub async fn settle_overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<usize, Unavailable> {
        let overdue = self.locks.overdue(performance, before, limit).await?;
        if !overdue.is_empty() {
            let locks: Vec<(Slot, ReservationId)> = overdue.iter().map(|lock| (lock.slot, lock.owner)).collect();
            self.settle_locks(performance, &locks).await?;
        }
        Ok(overdue.len())
    }

    /// The live state of all seats.
    pub async fn state(&self, hall: &Hall) -> Result<SeatState, AppError> {
        let performance = hall.performance.id;
        if let Some(state) = self.locks.snapshot(performance).await? {
            return Ok(state);
        }
        self.load(hall).await?;
        let loaded = self.locks.snapshot(performance).await?;
        loaded.ok_or_else(|| Unavailable::of("the seat map").into())
    }

    /// How many seats are free, in the order asked.
    pub async fn free_seats(&self, performances: &[PerformanceId]) -> Result<Vec<u32>, AppError> {
        let counts = self.locks.free_seats(performances).await?;
        let mut free = Vec::with_capacity(counts.len());
        for (performance, count) in performances.iter().zip(counts) {
            free.push(match count {
                Some(count) => count,
                None => self.state(&self.halls.hall(*performance).await?).await?.free_seats(),
            });
        }
        Ok(free)
    }

    async fn load(&self, hall: &Hall) -> Result<(), Unavailable> {
        let performance = hall.performance.id;
        let claims = self.reservations.claims(performance).await?;
        let locks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
        self.locks.load(performance, &all_free(&hall.venue.chart), &locks).await
    }
}

/// The refusal that names taken seats as fans know them.
pub fn seats_taken(hall: &Hall, slots: &[Slot]) -> AppError {
    let chart = &hall.venue.chart;
    let seat_ids = slots.iter().filter_map(|slot| chart.seat_at(*slot)).map(|seat| seat.id.clone()).collect();
    AppError::SeatsTaken { seat_ids }
}
