use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{SeatLock, SeatNews, SeatState, SeatStatus, StockAt};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{ChooseRefusal, LockTerms, SeatLocks, TakeRefusal, TakenSeats};
use encore_domain::time::Timestamp;
use tokio::sync::broadcast;

use crate::lock::lock;
use crate::seats::Seats;

/// How many changes are buffered for a slow listener.
const NEWS_BUFFER: usize = 256;

/// [`SeatLocks`] in process.
#[derive(Clone, Default)]
pub struct MemorySeatLocks(Arc<Mutex<HashMap<PerformanceId, Arc<Mutex<Watched>>>>>);

/// The seats of a performance, if they are loaded, and the listeners to their changes. A change is published before the
/// lock is released, so changes are published in order.
pub struct Watched {
    seats: Option<Seats>,
    /// Until when an instance may load them.
    loading_until: Option<Timestamp>,
    listeners: broadcast::Sender<SeatNews>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { seats: None, loading_until: None, listeners: broadcast::Sender::new(NEWS_BUFFER) }
    }
}

impl Watched {
    /// Changes loaded seats, and publishes the change.
    fn change<T>(&mut self, change: impl FnOnce(&mut Seats) -> T) -> Option<T> {
        let seats = self.seats.as_mut()?;
        let outcome = change(seats);
        if let Some(news) = seats.take_news() {
            self.publish(news);
        }
        Some(outcome)
    }

    fn publish(&self, news: SeatNews) {
        // Sending fails if there are no listeners.
        let _sent = self.listeners.send(news);
    }
}

impl MemorySeatLocks {
    /// The seats of a performance, unless they were never loaded and have no listener.
    fn watched(&self, performance: PerformanceId) -> Option<Arc<Mutex<Watched>>> {
        lock(&self.0).get(&performance).cloned()
    }

    fn change<T>(&self, performance: PerformanceId, change: impl FnOnce(&mut Seats) -> T) -> Option<T> {
        lock(&*self.watched(performance)?).change(change)
    }

    fn read<T>(&self, performance: PerformanceId, read: impl FnOnce(&Seats) -> T) -> Option<T> {
        lock(&*self.watched(performance)?).seats.as_ref().map(read)
    }

    /// Receives the changes that are published from now on.
    pub(crate) fn subscribe(&self, performance: PerformanceId) -> broadcast::Receiver<SeatNews> {
        let watched = Arc::clone(lock(&self.0).entry(performance).or_default());
        lock(&watched).listeners.subscribe()
    }
}

#[async_trait]
impl SeatLocks for MemorySeatLocks {
    async fn load(
        &self,
        performance: PerformanceId,
        all_free: &[Option<SeatStatus>],
        locks: &[SeatLock],
        version: u64,
    ) -> Result<(), Unavailable> {
        let watched = Arc::clone(lock(&self.0).entry(performance).or_default());
        let mut watched = lock(&watched);
        if watched.seats.is_none() {
            watched.seats = Some(Seats::new(all_free, locks, version));
            watched.publish(SeatNews::Missed);
        }
        watched.loading_until = None;
        Ok(())
    }

    async fn may_load(
        &self,
        performance: PerformanceId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Unavailable> {
        let watched = Arc::clone(lock(&self.0).entry(performance).or_default());
        let mut watched = lock(&watched);
        let may_load = watched.loading_until.is_none_or(|loading| loading <= now);
        if may_load {
            watched.loading_until = Some(until);
        }
        Ok(may_load)
    }

    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        orphans: Orphans,
        terms: LockTerms,
    ) -> Result<u64, PortError<TakeRefusal>> {
        let taken = self.change(performance, |seats| seats.take(slots, &orphans, &terms));
        taken.ok_or(TakeRefusal::NotLoaded).flatten().map_err(PortError::Refused)
    }

    async fn take_chosen(
        &self,
        performance: PerformanceId,
        search: &Search,
        terms: LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        let taken = self.change(performance, |seats| match search {
            Search::Seats(search) => seats.take_best(search, &terms),
            Search::Units(search) => seats.take_units(search, &terms),
        });
        taken.ok_or(ChooseRefusal::NotLoaded).flatten().map_err(PortError::Refused)
    }

    async fn release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<Option<u64>, Unavailable> {
        Ok(self.change(performance, |seats| seats.release(slots, owner)))
    }

    async fn unblock(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Option<u64>, Unavailable> {
        Ok(self.change(performance, |seats| seats.unblock(slots)))
    }

    async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Result<Option<u64>, Unavailable> {
        Ok(self.change(performance, |seats| seats.mark(locks)))
    }

    async fn holders(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<SeatLock>, Unavailable> {
        Ok(self.read(performance, |seats| seats.holders(slots)).unwrap_or_default())
    }

    async fn bought(&self, performance: PerformanceId, users: &[UserId]) -> Result<Vec<u32>, Unavailable> {
        let bought = |seats: &Seats| users.iter().map(|user| seats.bought(*user)).collect();
        Ok(self.read(performance, bought).unwrap_or_else(|| vec![0; users.len()]))
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<SeatState>, Unavailable> {
        Ok(self.read(performance, |seats| seats.state().clone()))
    }

    async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<Option<StockAt>>, Unavailable> {
        Ok(performances.iter().map(|performance| self.read(*performance, Seats::stock)).collect())
    }

    async fn overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SeatLock>, Unavailable> {
        Ok(self.read(performance, |seats| seats.overdue(before, limit)).unwrap_or_default())
    }
}
