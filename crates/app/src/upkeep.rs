//! Periodic sweeps that complete what calls left unfinished. They are idempotent, and any instance may run them at any
//! time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use encore_bulkhead::Bulkhead;
use encore_domain::booking::Reservation;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Payments, QueueRecords, Reservations};
use encore_domain::time::Timestamp;
use encore_seat_map::SeatMap;
use encore_waiting_room::WaitingRoom;
use tracing::{info, warn};

use crate::contexts::PerformanceContexts;
use crate::error::AppError;
use crate::payment::SettlementPropagator;

/// The most items in one step of a sweep. It bounds the duration of a transaction or script.
const BATCH: u32 = 200;
/// How long after its hold's deadline a lock is compared with the claims. The expiry sweep frees most locks before
/// that.
const LOCK_GRACE: Duration = Duration::from_secs(2);
/// How long after a payment its settlement is propagated again, unless it is marked as propagated. Each sweep writes
/// the marks.
const PROPAGATE_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How many notes of ended tokens, or entries of a draw, one step deletes: it takes some 10 ms.
const FORGOTTEN_AT_ONCE: u32 = 2_000;
/// The most steps of one sweep. The next sweep goes on.
const FORGET_STEPS_MAX: usize = 500;
/// How long ended tokens and entries of draws are kept after the sale has closed, unless it is configured.
pub const QUEUE_RETENTION: Duration = Duration::from_hours(30 * 24);
/// The longest sweep of one performance takes a batch of calls of a store that answers slowly.
const DEADLINE: Duration = Duration::from_secs(30);

/// What [`Upkeep`] is made of.
pub struct UpkeepParts {
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The payments.
    pub payments: Arc<dyn Payments>,
    /// What is known of the tokens of queues.
    pub queue_records: Arc<dyn QueueRecords>,
    /// The copies of performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Propagates payments.
    pub propagator: SettlementPropagator,
    /// What is on sale.
    pub room: WaitingRoom,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The sweeps.
#[derive(Clone)]
pub struct Upkeep {
    reservations: Arc<dyn Reservations>,
    payments: Arc<dyn Payments>,
    queue_records: Arc<dyn QueueRecords>,
    queue_retention: Duration,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    propagator: SettlementPropagator,
    room: WaitingRoom,
    clock: Arc<dyn Clock>,
    releases: Bulkhead,
    settlements: Bulkhead,
    overdue: Bulkhead,
}

/// A sweep about many performances runs side by side for each, and returns without those that hang.
impl Upkeep {
    /// The sweeps over their ports.
    pub fn new(parts: UpkeepParts) -> Self {
        let UpkeepParts { reservations, payments, queue_records, contexts, seat_map, propagator, room, clock } = parts;
        let queue_retention = QUEUE_RETENTION;
        let releases = Bulkhead::new("expiry", DEADLINE);
        let settlements = Bulkhead::new("settlements", DEADLINE);
        let overdue = Bulkhead::new("overdue locks", DEADLINE);
        Self {
            reservations,
            payments,
            queue_records,
            queue_retention,
            contexts,
            seat_map,
            propagator,
            room,
            clock,
            releases,
            settlements,
            overdue,
        }
    }

    /// The same sweeps, which keep the ended tokens and the entries of draws of a queue for this long after its sale has closed.
    #[must_use]
    pub fn keeping_queues_for(mut self, retention: Duration) -> Self {
        self.queue_retention = retention;
        self
    }

    /// Replaces the copies of performances that were changed, on whatever instance.
    pub async fn follow_performances(&self) -> Result<(), AppError> {
        Ok(self.contexts.refresh(self.clock.now()).await?)
    }

    /// Deletes the ended tokens and the entries of draws of queues whose sale closed longer ago than their retention.
    pub async fn forget_past_queues(&self) -> Result<(), AppError> {
        let closed_by = self.clock.now() - self.queue_retention;
        let mut forgotten = 0;
        for _ in 0..FORGET_STEPS_MAX {
            let step = self.queue_records.forget_past(closed_by, FORGOTTEN_AT_ONCE).await?;
            if step == 0 {
                break;
            }
            forgotten += step;
        }
        if forgotten > 0 {
            info!(forgotten, "deleted ended queue tokens and draw entries of sales that closed before the retention");
        }
        Ok(())
    }

    /// Ends holds whose deadline has passed and frees their seats. Seats that could not be freed are freed by
    /// [`settle_overdue_locks`](Self::settle_overdue_locks).
    pub async fn expire_holds(&self) -> Result<(), AppError> {
        loop {
            let expired = self.reservations.expire_due(self.clock.now(), BATCH).await?;
            let count = expired.len();
            let mut by_performance: HashMap<PerformanceId, Vec<Reservation>> = HashMap::new();
            for reservation in expired {
                by_performance.entry(reservation.performance).or_default().push(reservation);
            }
            let release = |expired| {
                let seat_map = self.seat_map.clone();
                async move { release_all(&seat_map, expired).await }
            };
            if let Err(unavailable) = self.releases.run(by_performance, release).await {
                let error = &unavailable as &dyn std::error::Error;
                warn!(error, "seat locks of expired holds not released; the sweep of overdue locks releases them");
            }
            if count < BATCH as usize {
                return Ok(());
            }
            info!(expired = count, "a full batch of holds expired; expiring the next batch");
        }
    }

    /// Marks the settlements that were propagated, and propagates the pending ones.
    pub async fn propagate_settlements(&self) -> Result<(), AppError> {
        self.mark_propagated().await?;
        let before = self.clock.now() - PROPAGATE_AGAIN_AFTER;
        let performances = self.payments.performances_pending(before).await?.into_iter();
        let propagate = |performance| {
            let upkeep = self.clone();
            async move { upkeep.propagate_pending(performance, before).await }
        };
        let outcome = self.settlements.run(performances.map(|performance| (performance, performance)), propagate).await;
        self.mark_propagated().await?;
        outcome
    }

    /// Propagates the pending settlements of a performance. If a store is unavailable for one, the others of the performance wait
    /// for the next sweep.
    async fn propagate_pending(&self, performance: PerformanceId, before: Timestamp) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for settlement in self.payments.pending(performance, before, BATCH).await? {
            match self.propagator.propagate_late(&settlement).await {
                Err(error @ AppError::Unavailable(_)) => return Err(error),
                propagated => outcome = outcome.and(propagated),
            }
        }
        outcome
    }

    /// Marks the settlements that this instance propagated, and nothing else. [`Self::propagate_settlements`] does that, too.
    pub async fn note_propagated(&self) -> Result<(), AppError> {
        Ok(self.mark_propagated().await?)
    }

    async fn mark_propagated(&self) -> Result<(), Unavailable> {
        let propagated = self.propagator.take_propagated();
        if propagated.is_empty() { Ok(()) } else { self.payments.mark_propagated(&propagated).await }
    }

    /// Frees or corrects the seat locks of every performance on sale that are past their hold's deadline.
    pub async fn settle_overdue_locks(&self) -> Result<(), AppError> {
        let before = self.clock.now() - LOCK_GRACE;
        let settle = |performance| {
            let seat_map = self.seat_map.clone();
            async move { seat_map.settle_overdue(performance, before, BATCH).await.map(drop) }
        };
        let performances = self.room.on_sale().into_iter();
        Ok(self.overdue.run(performances.map(|performance| (performance, performance)), settle).await?)
    }

    /// Compares the seat locks of every performance on sale with the claims, and repairs what differs for too long.
    pub async fn repair_seat_locks(&self) -> Result<(), AppError> {
        Ok(self.seat_map.repair(&self.room.on_sale()).await?)
    }

    /// How many seats this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.seat_map.repaired()
    }
}

/// Frees the seats of expired holds of one performance, until its locks are unavailable.
async fn release_all(seat_map: &SeatMap, expired: Vec<Reservation>) -> Result<(), Unavailable> {
    for reservation in expired {
        seat_map.try_release(reservation.performance, &reservation.slots(), reservation.id).await?;
    }
    Ok(())
}
