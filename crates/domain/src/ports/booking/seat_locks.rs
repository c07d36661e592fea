use async_trait::async_trait;
use thiserror::Error;

use crate::booking::best_available::SeatSearch;
use crate::booking::seat_state::{SeatLock, SeatState, SeatStatus, StockAt};
use crate::booking::unit_search::UnitSearch;
use crate::catalog::seat_chart::Slot;
use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, ReservationId};
use crate::time::Timestamp;

/// Why seats were not locked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TakeRefusal {
    /// These are held, sold or blocked.
    #[error("some seats are taken")]
    Taken {
        /// Which, in order.
        slots: Vec<Slot>,
        /// The version in which they are.
        version: u64,
    },
    /// These would be left without a free neighbour.
    #[error("some seats would be left alone")]
    WouldOrphan {
        /// Which, in order.
        slots: Vec<Slot>,
    },
    /// The performance's seats are not loaded; see [`SeatLocks::load`].
    #[error("the seats are not loaded")]
    NotLoaded,
}

/// Seats that were locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenSeats {
    /// Which, in order.
    pub slots: Vec<Slot>,
    /// The version that shows it.
    pub version: u64,
}

/// Why no seats were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChooseRefusal {
    /// No free seats fit the search.
    #[error("no free seats fit")]
    NoneFits {
        /// The version in which there are none.
        version: u64,
    },
    /// The general admission area has fewer free units than are wanted.
    #[error("only {left} units are left")]
    TooFewLeft {
        /// How many are free.
        left: u32,
        /// The version in which they are.
        version: u64,
    },
    /// The performance's seats are not loaded; see [`SeatLocks::load`].
    #[error("the seats are not loaded")]
    NotLoaded,
}

/// The live state of seats: refuses fast what the claims would refuse. It may be lost at any time and loaded again.
///
/// A slot outside the loaded layout, or one that is no seat, counts as taken.
///
/// # Contract
/// - `is_not_loaded_at_first`: no snapshot, no count, and takes are refused with [`TakeRefusal::NotLoaded`]
/// - `loads_free_seats_and_locks`: the snapshot is the layout with the locks in place
/// - `loads_at_the_version_it_is_told`
/// - `loads_once`: a second load changes nothing
/// - `lets_one_load_at_a_time`: of a hundred at once that ask whether they may, one; and then nobody until its time is over
///   or a load has ended it
/// - `takes_free_seats`: they are held, and nothing else changes
/// - `takes_all_or_none`: [`TakeRefusal::Taken`] names the taken ones, in order, and the version; the others stay free
/// - `takes_once_under_contention`: of a hundred at once on the same seats, one wins
/// - `takes_again_for_the_same_owner`: seats that are all held by this very owner are taken with success, until the new
///   deadline
/// - `takes_preventing_orphans`: what would leave a seat alone is refused with [`TakeRefusal::WouldOrphan`], which names what
///   [`orphan_seats`](crate::booking::alternatives::orphan_seats) does, and takes nothing; what is taken comes first, and seats that are all
///   this owner's are taken again
/// - `takes_the_best_block`: what [`SeatSearch::choose`] chooses of the snapshot, in venues of any occupation
/// - `takes_a_split_only_where_allowed`: and then what [`SeatSearch::choose`] chooses
/// - `chooses_accessible_seats_for_those_who_ask`: and then what [`SeatSearch::choose`] chooses, with stretches that overlap
/// - `chooses_nothing_where_nothing_fits`: [`ChooseRefusal::NoneFits`] names the version, and nothing changes
/// - `chooses_under_contention`: a hundred at once get different seats, and nobody is refused while a block is free
/// - `chooses_again_for_the_same_owner`: seats that this very owner was given a moment ago and still holds are given again,
///   until the new deadline; if it holds them no more, or the search could not have chosen them, it is given others
/// - `takes_free_units`: what [`UnitSearch::choose`] chooses of the snapshot, in areas of any occupation
/// - `refuses_where_too_few_units_are_left`: [`ChooseRefusal::TooFewLeft`] says how many are and the version; nothing changes, and
///   nothing is taken of what is beside the area
/// - `sells_an_area_to_the_last_spot`: of two hundred at once that want more than its capacity, it sells exactly that; nobody is
///   refused while as many as they want are left
/// - `takes_units_again_for_the_same_owner`: as seats are chosen again
/// - `refuses_slots_that_are_no_seat`: separators and slots past the end count as taken
/// - `releases_only_its_own`: slots held by another owner, sold, or free stay as they are
/// - `marks_over_anything`: free, held, sold or blocked becomes what the lock says, since the claims have said so
/// - `keeps_blocked_seats_from_everybody`: one that is blocked counts as taken, is never chosen, and is neither free nor held in the
///   counts; it has no deadline, and no owner can release it
/// - `unblocks_only_what_is_blocked`: held, sold and free seats stay as they are
/// - `counts_its_stock`: after each change the counts are those of the snapshot, of one moment; `None` where not loaded
/// - `versions_grow_by_one_with_each_change`: and not without one; every change answers one that shows it
/// - `reports_overdue_holds`: those whose deadline is at or before `before`, at most `limit`, and no sold seats
/// - `says_who_holds`: the locks of those of some seats that are held, in the order of the slots; of the others nothing
/// - `keeps_performances_apart`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatLocks: Send + Sync {
    /// Loads the seats of a performance unless they are loaded. `all_free` is the state of the venue with every seat free.
    /// `version` is the first version: higher than any that an earlier load may have reached.
    async fn load(
        &self,
        performance: PerformanceId,
        all_free: &[Option<SeatStatus>],
        locks: &[SeatLock],
        version: u64,
    ) -> Result<(), Unavailable>;

    /// Whether the caller is to load the seats, for which it has until a moment: so that a crowd that misses them makes one read
    /// the claims. A load by anybody else is right as well.
    async fn may_load(&self, performance: PerformanceId, now: Timestamp, until: Timestamp)
    -> Result<bool, Unavailable>;

    /// Holds free seats, all or none, and says the version that shows it.
    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<u64, PortError<TakeRefusal>>;

    /// The same, unless that would leave a single free seat without a free neighbour.
    async fn take_preventing_orphans(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<u64, PortError<TakeRefusal>>;

    /// Holds the best free seats of a search, chosen in the same step.
    async fn take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>>;

    /// Holds free units of a general admission area, chosen in the same step.
    async fn take_units(
        &self,
        performance: PerformanceId,
        search: &UnitSearch,
        owner: ReservationId,
        held_until: Timestamp,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>>;

    /// Frees those of these seats that this owner holds, and says a version that shows it; none where nothing is loaded.
    async fn release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<Option<u64>, Unavailable>;

    /// Frees those of these seats that are blocked, and says a version that shows it; none where nothing is loaded.
    async fn unblock(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Option<u64>, Unavailable>;

    /// Sets seats to what the claims say, held, sold or blocked, and says a version that shows it. Does nothing where the seats are not
    /// loaded, and answers none.
    async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Result<Option<u64>, Unavailable>;

    /// The locks of those of these seats that are held.
    async fn holders(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<SeatLock>, Unavailable>;

    /// A copy of the state; none if not loaded.
    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<SeatState>, Unavailable>;

    /// How many seats are free and how many held at which version, in the order asked; none where not loaded.
    async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<Option<StockAt>>, Unavailable>;

    /// Held seats whose hold should have ended by `before`, oldest first: either nobody released them, or the hold was
    /// never placed.
    async fn overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SeatLock>, Unavailable>;
}
