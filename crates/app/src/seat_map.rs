//! The live seats of a performance: fast locks in front, claims behind, and a copy of the locks for those who look.

use std::sync::Arc;

use encore_domain::booking::alternatives::orphan_seats;
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatState, SeatStock};
use encore_domain::booking::unit_search::TooFewLeft;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{ChooseRefusal, Clock, Reservations, SeatChanges, SeatLocks, TakeRefusal};
use encore_domain::time::Timestamp;
use tracing::warn;

use crate::choice::Choice;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::seat_reader::SeatReader;
use crate::seat_replica::SeatReplica;
use crate::seat_replica_registry::SeatReplicaRegistry;
use crate::seat_settling::SeatSettling;

/// Seat locks that load themselves from the claims when they are missing.
#[derive(Clone)]
pub struct SeatMap {
    locks: Arc<dyn SeatLocks>,
    settling: SeatSettling,
    reader: SeatReader,
    replicas: SeatReplicaRegistry,
}

impl SeatMap {
    /// Puts the map on its ports.
    pub fn new(
        locks: Arc<dyn SeatLocks>,
        changes: Arc<dyn SeatChanges>,
        reservations: Arc<dyn Reservations>,
        contexts: PerformanceContexts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let reader = SeatReader::new(Arc::clone(&locks), Arc::clone(&reservations), contexts, clock);
        let settling = SeatSettling { locks: Arc::clone(&locks), reservations };
        Self { locks, settling, replicas: SeatReplicaRegistry::new(reader.clone(), changes), reader }
    }

    /// Locks seats, all or none; if asked to leave no seat alone, then none where that would happen.
    ///
    /// Returns `Ok` also when the locks are away: then only the claims decide, slower and still right.
    pub async fn take(
        &self,
        context: &PerformanceContext,
        slots: &[Slot],
        prevent_orphan_seats: bool,
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<(), AppError> {
        let performance = context.performance.id;
        let take = || {
            if prevent_orphan_seats {
                self.locks.take_preventing_orphans(performance, slots, owner, held_until)
            } else {
                self.locks.take(performance, slots, owner, held_until)
            }
        };
        let mut outcome = take().await;
        if matches!(outcome, Err(PortError::Refused(TakeRefusal::NotLoaded))) {
            self.load(context).await;
            outcome = take().await;
        }
        match outcome {
            Ok(_version) => return Ok(()),
            Err(PortError::Refused(TakeRefusal::Taken { slots, version })) => {
                return Err(seats_taken(context, &slots, Some(version)));
            }
            Err(PortError::Refused(TakeRefusal::WouldOrphan { slots })) => {
                return Err(would_orphan_seats(context, &slots));
            }
            Err(PortError::Refused(TakeRefusal::NotLoaded)) => {
                warn!(%performance, "seats are not loaded yet; the claims decide");
            }
            Err(PortError::Unavailable(unavailable)) => {
                warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks are away; the claims decide");
            }
        }
        if !prevent_orphan_seats {
            return Ok(());
        }
        let alone = orphan_seats(&self.reader.claimed(context).await?.statuses, slots);
        if alone.is_empty() { Ok(()) } else { Err(would_orphan_seats(context, &alone)) }
    }

    /// Locks free seats or units, chosen in the same step. None where the locks are away: then the choice is to be made on the
    /// claims.
    pub async fn take_chosen(
        &self,
        context: &PerformanceContext,
        choice: &Choice,
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<Option<Vec<Slot>>, AppError> {
        let performance = context.performance.id;
        let take = || match choice {
            Choice::Best(search) => self.locks.take_best(performance, search, owner, held_until),
            Choice::Units { search, .. } => self.locks.take_units(performance, search, owner, held_until),
        };
        let mut outcome = take().await;
        if matches!(outcome, Err(PortError::Refused(ChooseRefusal::NotLoaded))) {
            self.load(context).await;
            outcome = take().await;
        }
        match outcome {
            Ok(taken) => Ok(Some(taken.slots)),
            Err(PortError::Refused(ChooseRefusal::NoneFits { .. })) => Err(choice.refusal(0)),
            Err(PortError::Refused(ChooseRefusal::TooFewLeft { left, .. })) => Err(choice.refusal(left)),
            Err(PortError::Refused(ChooseRefusal::NotLoaded)) => {
                warn!(%performance, "seats are not loaded yet; the claims decide");
                Ok(None)
            }
            Err(PortError::Unavailable(unavailable)) => {
                warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks are away; the claims decide");
                Ok(None)
            }
        }
    }

    /// Has the seats loaded. Whatever keeps them from it, the claims decide.
    async fn load(&self, context: &PerformanceContext) {
        if let Err(unavailable) = self.reader.load(context).await {
            let performance = context.performance.id;
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seats could not be loaded");
        }
    }

    /// Chooses free seats or units as the claims alone say it.
    pub async fn choose_claimable(&self, context: &PerformanceContext, choice: &Choice) -> Result<Vec<Slot>, AppError> {
        match choice {
            Choice::Best(search) => {
                let claimed = self.reader.claimed(context).await?;
                search.choose(&claimed.statuses).ok_or_else(|| choice.refusal(0))
            }
            Choice::Units { search, .. } => {
                let chosen = self.reader.claimable_units(context.performance.id, search).await?;
                chosen.map_err(|TooFewLeft { left }| choice.refusal(left))
            }
        }
    }

    /// Frees seats that this owner holds. If the locks are away, a sweep frees them later.
    pub async fn release(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(unavailable) = self.locks.release(performance, slots, owner).await {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seats stay locked until a sweep");
        }
    }

    /// Shows seats as sold.
    pub async fn mark_sold(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        let sold: Vec<SeatLock> = slots.iter().map(|slot| SeatLock::sold(*slot, owner)).collect();
        self.locks.mark(performance, &sold).await.map(drop)
    }

    /// Makes the locks say what the claims say about these seats: claimed ones are marked, and of the others those that this
    /// owner locked are freed.
    pub async fn settle(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        self.settling.settle(performance, slots.iter().map(|slot| (*slot, Locker::Fan(owner))).collect()).await
    }

    /// The same for seats that operators have blocked or given back.
    pub async fn settle_blocks(&self, performance: PerformanceId, slots: &[Slot]) -> Result<(), Unavailable> {
        self.settling.settle(performance, slots.iter().map(|slot| (*slot, Locker::Operators)).collect()).await
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
            let owners = overdue.iter().map(|lock| (lock.slot, lock.owner.locker())).collect();
            self.settling.settle(performance, owners).await?;
        }
        Ok(overdue.len())
    }

    /// The live state of all seats, with every change that was made before this was asked. It is read off this instance's
    /// copy, without a query.
    pub async fn state(&self, context: &PerformanceContext) -> Result<Arc<SeatState>, AppError> {
        self.replicas.seats(context).await
    }

    /// The replica of a performance for those who watch.
    pub(crate) async fn replica(&self, context: &PerformanceContext) -> Result<Arc<SeatReplica>, AppError> {
        self.replicas.watched(context).await
    }

    /// How many seats are free and how many held as of a moment ago, in the order asked.
    pub async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, AppError> {
        self.replicas.stock(performances).await
    }
}

/// The refusal that names taken seats as fans know them. What else could be had is not known here.
pub fn seats_taken(context: &PerformanceContext, slots: &[Slot], version: Option<u64>) -> AppError {
    AppError::SeatsTaken { seat_ids: seat_ids(context, slots), version, alternatives: vec![] }
}

fn would_orphan_seats(context: &PerformanceContext, slots: &[Slot]) -> AppError {
    AppError::WouldOrphanSeats { seat_ids: seat_ids(context, slots) }
}

/// Seats as fans know them.
pub(crate) fn seat_ids(context: &PerformanceContext, slots: &[Slot]) -> Vec<String> {
    slots.iter().filter_map(|slot| context.venue.chart.id_at(*slot)).collect()
}
