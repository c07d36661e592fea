//! The façade of the crate.

use std::sync::Arc;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatState, SeatStock, StockByNeed};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{ChooseRefusal, Clock, LockTerms, Reservations, SeatChanges, SeatLocks, TakeRefusal};
use encore_domain::time::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use crate::chooser::{Choice, Chooser, Choosers};
use crate::claims_view::ClaimsViews;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::SeatMapError;
use crate::reader::SeatReader;
use crate::registry::ReplicaRegistry;
use crate::repair::Repair;
use crate::settling::Settling;
use crate::sold::SoldPerformances;
use crate::stream::{SeatStream, SeatWatch};
use crate::turns::{Turn, WaitedTooLong};

/// How often seats that were chosen may be taken by others before the locks choose.
const PROPOSALS_MAX: usize = 8;

/// Seats or units that were chosen and locked. The caller claims them before this is dropped: only so many calls of a performance are
/// between lock and claim at once, so that locks do not run ahead of claims when everybody comes at once.
pub struct Chosen {
    /// Which, in order.
    pub slots: Vec<Slot>,
    _turn: Turn,
}

/// What [`SeatMap::take`] found for seats that may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They were free and are locked.
    Locked,
    /// The locks are unavailable or cannot be loaded. Only the claims tell whether the seats are free.
    Claimable,
}

/// What a [`SeatMap`] is made of.
pub struct SeatMapParts {
    /// The locks.
    pub locks: Arc<dyn SeatLocks>,
    /// Notifies of changes of the locks.
    pub changes: Arc<dyn SeatChanges>,
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The live seats of all performances: locks in front of the claims, and replicas of the locks for readers. Clones share
/// everything.
#[derive(Clone)]
pub struct SeatMap {
    locks: Arc<dyn SeatLocks>,
    clock: Arc<dyn Clock>,
    settling: Settling,
    repair: Repair,
    reader: SeatReader,
    choosers: Choosers,
    claims: ClaimsViews,
    replicas: ReplicaRegistry,
    sold: Arc<SoldPerformances>,
}

impl SeatMap {
    /// Has no replica and no load in progress. It spawns a task per replica, and no other.
    pub fn new(parts: SeatMapParts) -> Self {
        let SeatMapParts { locks, changes, reservations, contexts, clock } = parts;
        let settling = Settling { locks: Arc::clone(&locks), reservations };
        let reader = SeatReader::new(settling.clone(), contexts, Arc::clone(&clock));
        let replicas = ReplicaRegistry::new(reader.clone(), changes);
        Self {
            repair: Repair::new(settling.clone(), Arc::clone(&clock)),
            choosers: Choosers::new(Arc::clone(&locks)),
            claims: ClaimsViews::new(reader.clone()),
            sold: Arc::new(SoldPerformances::new(reader.clone(), replicas.clone())),
            replicas,
            locks,
            clock,
            settling,
            reader,
        }
    }

    /// Locks seats, all or none. If it could not lock them, only the claims refuse seats that are taken and calls over the limit,
    /// which is slower.
    pub async fn take(
        &self,
        context: &PerformanceContext,
        slots: &[Slot],
        orphans: Orphans,
        terms: LockTerms,
    ) -> Result<Taken, SeatMapError> {
        let performance = context.performance.id;
        let take = || self.locks.take(performance, slots, orphans.clone(), terms);
        let mut outcome = take().await;
        if matches!(outcome, Err(PortError::Refused(TakeRefusal::NotLoaded))) {
            self.load(context).await;
            outcome = take().await;
        }
        match outcome {
            Ok(_version) => return Ok(Taken::Locked),
            Err(PortError::Refused(TakeRefusal::Taken { slots, version })) => {
                return Err(SeatMapError::Taken { seat_ids: context.seat_ids(&slots), version });
            }
            Err(PortError::Refused(TakeRefusal::WouldOrphan { slots })) => return Err(would_orphan(context, &slots)),
            Err(PortError::Refused(TakeRefusal::OverLimit { owned })) => return Err(over_limit(&terms, owned)),
            Err(PortError::Refused(TakeRefusal::MayRepeat)) => return Err(SeatMapError::MayRepeat),
            Err(PortError::Refused(TakeRefusal::NotLoaded)) => {
                warn!(%performance, "seat locks not loaded; the claims decide");
            }
            Err(PortError::Unavailable(unavailable)) => {
                warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks unavailable; the claims decide");
            }
        }
        if orphans == Orphans::Allow {
            return Ok(Taken::Claimable);
        }
        let orphaned = orphans.left_by(&self.reader.claimed(context).await?.statuses, slots);
        if orphaned.is_empty() { Ok(Taken::Claimable) } else { Err(would_orphan(context, &orphaned)) }
    }

    /// Chooses free seats or units and locks them. Returns none when the locks are unavailable or cannot be loaded: then the caller
    /// continues with [`choose_claimable`](Self::choose_claimable).
    ///
    /// Seats are chosen on this instance, on what the locks showed after the call, and then locked if they are still free. If others
    /// are faster again and again, or for units, the locks choose.
    pub async fn take_chosen(
        &self,
        context: &PerformanceContext,
        search: &Search,
        terms: LockTerms,
    ) -> Result<Option<Chosen>, SeatMapError> {
        let (performance, called) = (context.performance.id, Instant::now());
        let chooser = self.choosers.of(performance).await;
        let turn = chooser.turns.turn().await.map_err(|WaitedTooLong| SeatMapError::Overloaded)?;
        let Some(turn) = turn else { return Ok(None) };
        let mut outcome = self.try_take_chosen(&chooser, search, terms, called).await;
        if matches!(outcome, Err(PortError::Refused(ChooseRefusal::NotLoaded))) {
            self.load(context).await;
            outcome = self.try_take_chosen(&chooser, search, terms, called).await;
        }
        match outcome {
            Ok(slots) => Ok(Some(Chosen { slots, _turn: turn })),
            Err(PortError::Refused(ChooseRefusal::NoneFits { .. })) => Err(none_chosen(context, search, 0)),
            Err(PortError::Refused(ChooseRefusal::TooFewLeft { left, .. })) => Err(none_chosen(context, search, left)),
            Err(PortError::Refused(ChooseRefusal::OverLimit { owned })) => Err(over_limit(&terms, owned)),
            Err(PortError::Refused(ChooseRefusal::MayRepeat)) => Err(SeatMapError::MayRepeat),
            Err(PortError::Refused(ChooseRefusal::NotLoaded)) => {
                warn!(%performance, "seat locks not loaded; choosing by the claims");
                Ok(None)
            }
            Err(PortError::Unavailable(unavailable)) => {
                turn.note_unavailable();
                warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks unavailable; choosing by the claims");
                Ok(None)
            }
        }
    }

    async fn try_take_chosen(
        &self,
        chooser: &Arc<Chooser>,
        search: &Search,
        terms: LockTerms,
        called: Instant,
    ) -> Result<Vec<Slot>, PortError<ChooseRefusal>> {
        let performance = chooser.performance();
        if let Search::Seats(seats) = search {
            for _ in 0..PROPOSALS_MAX {
                let proposal = match chooser.choose(seats, called).await? {
                    Choice::Seats(proposal) => proposal,
                    Choice::None { version } => return Err(PortError::Refused(ChooseRefusal::NoneFits { version })),
                    Choice::NotLoaded => return Err(PortError::Refused(ChooseRefusal::NotLoaded)),
                };
                match self.locks.take(performance, proposal.slots(), Orphans::Allow, terms).await {
                    Ok(_version) => return Ok(proposal.keep()),
                    Err(PortError::Refused(TakeRefusal::Taken { slots, .. })) => {
                        drop(proposal);
                        chooser.note_taken(&slots);
                    }
                    Err(PortError::Refused(TakeRefusal::OverLimit { owned })) => {
                        return Err(PortError::Refused(ChooseRefusal::OverLimit { owned }));
                    }
                    Err(PortError::Refused(TakeRefusal::MayRepeat)) => {
                        return Err(PortError::Refused(ChooseRefusal::MayRepeat));
                    }
                    Err(PortError::Refused(TakeRefusal::NotLoaded | TakeRefusal::WouldOrphan { .. })) => {
                        return Err(PortError::Refused(ChooseRefusal::NotLoaded));
                    }
                    Err(PortError::Unavailable(unavailable)) => return Err(unavailable.into()),
                }
            }
        }
        Ok(self.locks.take_chosen(performance, search, terms).await?.slots)
    }

    /// Whether seats or units without a claim fit a search that the locks have refused: then their locks belong to calls in progress,
    /// or are left over. Nothing is sold out before this was asked. Callers share a read of the claims, and while nothing fits one
    /// read serves for two seconds.
    pub async fn fits_claims(&self, context: &PerformanceContext, search: &Search) -> Result<bool, SeatMapError> {
        Ok(self.claims.fits(context, search).await?)
    }

    /// Loads the locks. A failure is logged, and the claims decide.
    async fn load(&self, context: &PerformanceContext) {
        if let Err(unavailable) = self.reader.load(context).await {
            let performance = context.performance.id;
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks could not be loaded");
        }
    }

    /// Chooses seats or units without a claim, and locks nothing. Concurrent callers may choose the same.
    pub async fn choose_claimable(
        &self,
        context: &PerformanceContext,
        search: &Search,
    ) -> Result<Vec<Slot>, SeatMapError> {
        match search {
            Search::Seats(seats) => {
                let claimed = self.reader.claimed(context).await?;
                seats.choose(&claimed.statuses).ok_or_else(|| none_chosen(context, search, 0))
            }
            Search::Units(units) if !context.performance.prices.sells(&context.venue.chart, units.first) => {
                Err(none_chosen(context, search, 0))
            }
            Search::Units(units) => {
                let chosen = self.reader.claimable_units(context.performance.id, units).await?;
                chosen.map_err(|TooFewLeft { left }| none_chosen(context, search, left))
            }
        }
    }

    /// Frees the seats that this owner holds.
    pub async fn try_release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        self.locks.release(performance, slots, owner).await.map(drop)
    }

    /// Frees the seats that this owner holds. A failure is logged, and [`settle_overdue`](Self::settle_overdue) frees them
    /// after their deadline.
    pub async fn release(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(unavailable) = self.try_release(performance, slots, owner).await {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks not released; a sweep releases them");
        }
    }

    /// Frees the sold seats of a reservation that were cancelled, unless they have been claimed since. Sold seats have no holder,
    /// so they are first marked as held by their buyer, who then releases them. A failure is logged, and the repair frees them.
    pub async fn release_sold(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId, user: UserId) {
        let now = self.clock.now();
        let held: Vec<SeatLock> = slots.iter().map(|slot| SeatLock::held(*slot, owner, user, now)).collect();
        let released = async {
            self.locks.mark(performance, &held).await?;
            self.settle(performance, slots, Locker::Fan(owner)).await
        };
        if let Err(unavailable) = released.await {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "cancelled seats not freed in the locks; the repair frees them");
        }
    }

    /// Marks seats as sold.
    pub async fn mark_sold(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
        user: UserId,
    ) -> Result<(), Unavailable> {
        let sold: Vec<SeatLock> = slots.iter().map(|slot| SeatLock::sold(*slot, owner, user)).collect();
        self.locks.mark(performance, &sold).await?;
        self.sold.note(performance).await;
        Ok(())
    }

    /// Writes the claims of seats that were sold some time ago to their locks: seats that were cancelled since may be another fan's.
    pub async fn settle_sold(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<(), Unavailable> {
        self.settle(performance, slots, Locker::Fan(owner)).await?;
        self.sold.note(performance).await;
        Ok(())
    }

    /// Writes the claims of these seats to their locks. Seats with a claim are marked. Seats without a claim are freed if this
    /// locker locked them.
    pub async fn settle(&self, performance: PerformanceId, slots: &[Slot], locker: Locker) -> Result<(), Unavailable> {
        self.settling.settle(performance, slots.iter().map(|slot| (*slot, locker)).collect()).await
    }

    /// Settles locks whose deadline is at or before `before`, at most `limit`: those of holds whose release failed, and those
    /// of calls that ended between lock and claim. Returns how many there were.
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

    /// Compares all locks of these performances with the claims, and repairs differences that last longer than any call. It
    /// takes one read of the claims and of the locks per performance. The performances are compared side by side; it returns
    /// without those that hang.
    pub async fn repair(&self, performances: &[PerformanceId]) -> Result<(), Unavailable> {
        self.repair.run(performances).await
    }

    /// How many seats [`repair`](Self::repair) has repaired on this instance.
    pub fn repaired(&self) -> u64 {
        self.repair.repaired()
    }

    /// The state of all seats, with every change that was made before this call. It is read from the replica. Its version costs
    /// one query, which concurrent callers share.
    pub async fn state(&self, context: &PerformanceContext) -> Result<Arc<SeatState>, SeatMapError> {
        self.replicas.state(context).await
    }

    /// Watches seats. The first frame has every change that was made before this call.
    pub async fn watch(&self, context: &PerformanceContext, watch: &SeatWatch<'_>) -> Result<SeatStream, SeatMapError> {
        let replica = self.replicas.watched(context).await?;
        SeatStream::open(replica, Arc::clone(&self.clock), watch)
    }

    /// Whether anything of a performance is sold, as of a second ago at most. It costs a read of the replica a second, so that it can
    /// be asked for every fan who joins a queue. True if that cannot be known.
    pub async fn any_sold(&self, performance: PerformanceId) -> bool {
        self.sold.any(performance).await.unwrap_or(true)
    }

    /// How many seats of a performance a fan has bought, as far as the locks know. One query.
    pub async fn bought(&self, performance: PerformanceId, user: UserId) -> Result<u32, Unavailable> {
        Ok(self.locks.bought(performance, &[user]).await?.first().copied().unwrap_or_default())
    }

    /// How many seats are free and how many held, in the order of `performances`. The counts of a replica are at most three
    /// seconds old.
    pub async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, SeatMapError> {
        self.replicas.stock(performances).await
    }

    /// How many seats of a performance are free and how many held, by who may buy them. The counts of a replica are at most three
    /// seconds old.
    pub async fn stock_by_need(&self, performance: PerformanceId) -> Result<StockByNeed, SeatMapError> {
        self.replicas.stock_by_need(performance).await
    }
}

fn over_limit(terms: &LockTerms, owned: u32) -> SeatMapError {
    SeatMapError::OverLimit { limit: terms.seats_per_fan, owned }
}

fn would_orphan(context: &PerformanceContext, slots: &[Slot]) -> SeatMapError {
    SeatMapError::WouldOrphan { seat_ids: context.seat_ids(slots) }
}

/// The refusal of a search; `left` is the number of free units, and has no meaning for seats.
fn none_chosen(context: &PerformanceContext, search: &Search, left: u32) -> SeatMapError {
    match search {
        Search::Seats(search) => SeatMapError::NoneFits { count: search.count },
        Search::Units(UnitSearch { first, count, .. }) => {
            let chart = &context.venue.chart;
            let area = chart.area_at(*first).map(|area| chart.name_of(area)).unwrap_or_default();
            SeatMapError::TooFewLeft { area: area.to_owned(), count: *count, left }
        }
    }
}
