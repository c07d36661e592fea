use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_domain::best_available::SeatSearch;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{ChooseRefusal, SeatLocks, TakeRefusal, TakenSeats};
use encore_domain::seat_chart::Slot;
use encore_domain::seat_state::{SeatLock, SeatState, SeatStock};
use encore_domain::time::Timestamp;

use crate::lock::lock;
use crate::seats::Seats;

/// [`SeatLocks`] in process.
#[derive(Default)]
pub struct MemorySeatLocks(Mutex<HashMap<PerformanceId, Arc<Mutex<Seats>>>>);

impl MemorySeatLocks {
    /// The seats of a performance; none if they are not loaded.
    fn seats(&self, performance: PerformanceId) -> Option<Arc<Mutex<Seats>>> {
        lock(&self.0).get(&performance).cloned()
    }
}

#[async_trait]
impl SeatLocks for MemorySeatLocks {
    async fn load(&self, performance: PerformanceId, all_free: &[u8], locks: &[SeatLock]) -> Result<(), Unavailable> {
        let loaded = || Arc::new(Mutex::new(Seats::new(all_free, locks)));
        lock(&self.0).entry(performance).or_insert_with(loaded);
        Ok(())
    }

    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<u64, PortError<TakeRefusal>> {
        let seats = self.seats(performance).ok_or(PortError::Refused(TakeRefusal::NotLoaded))?;
        let taken = lock(&seats).take(slots, owner, held_until);
        taken.map_err(|slots| PortError::Refused(TakeRefusal::Taken { slots }))
    }

    async fn take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        let seats = self.seats(performance).ok_or(PortError::Refused(ChooseRefusal::NotLoaded))?;
        let taken = lock(&seats).take_best(search, owner, held_until);
        taken.map_err(|version| PortError::Refused(ChooseRefusal::NoneFits { version }))
    }

    async fn release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        if let Some(seats) = self.seats(performance) {
            lock(&seats).release(slots, owner);
        }
        Ok(())
    }

    async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Result<(), Unavailable> {
        if let Some(seats) = self.seats(performance) {
            lock(&seats).mark(locks);
        }
        Ok(())
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<SeatState>, Unavailable> {
        Ok(self.seats(performance).map(|seats| lock(&seats).state().clone()))
    }

    async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<Option<SeatStock>>, Unavailable> {
        let stock = |performance: &PerformanceId| self.seats(*performance).map(|seats| lock(&seats).stock());
        Ok(performances.iter().map(stock).collect())
    }

    async fn overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SeatLock>, Unavailable> {
        Ok(self.seats(performance).map(|seats| lock(&seats).overdue(before, limit)).unwrap_or_default())
    }
}
