use async_trait::async_trait;
use thiserror::Error;

use crate::booking::alternatives::Orphans;
use crate::booking::search::Search;
use crate::booking::seat_state::{SeatLock, SeatState, SeatStatus, StockAt};
use crate::catalog::seat_chart::Slot;
use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, ReservationId, UserId};
use crate::time::Timestamp;

/// For how many reservations of a fan the locks remember that they were locked for. For more, every further lock of the fan may be a
/// repeat; see [`LockTerms::is_new`]. Few fans hold more often than this in one performance.
pub const RESERVATIONS_REMEMBERED: usize = 16;

/// For whom seats are locked, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockTerms {
    /// The reservation that is to claim them.
    pub reservation: ReservationId,
    /// Its fan.
    pub user: UserId,
    /// The most seats of the performance that the fan may have, held plus sold.
    pub seats_per_fan: u32,
    /// The deadline of the locks.
    pub until: Timestamp,
    /// Whether the caller knows from the records that no such reservation was placed, so that the call is no repeat.
    pub is_new: bool,
}

/// Why seats were not locked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TakeRefusal {
    /// These are held, sold or blocked.
    #[error("some seats are taken")]
    Taken {
        /// Which, in order.
        slots: Vec<Slot>,
        /// The version in which they are taken.
        version: u64,
    },
    /// These would be left without a free neighbour.
    #[error("some seats would be left without a free neighbour")]
    WouldOrphan {
        /// Which, in order.
        slots: Vec<Slot>,
    },
    /// The fan would have more seats than [`LockTerms::seats_per_fan`].
    #[error("over the limit of seats per fan, of which {owned} are held or bought already")]
    OverLimit {
        /// How many the fan has.
        owned: u32,
    },
    /// Seats were locked for the reservation before. The caller looks in the records whether it was placed, and if not, repeats the
    /// call with [`LockTerms::is_new`].
    #[error("the reservation may have been placed before")]
    MayRepeat,
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
    /// See [`TakeRefusal::OverLimit`].
    #[error("over the limit of seats per fan, of which {owned} are held or bought already")]
    OverLimit {
        /// How many the fan has.
        owned: u32,
    },
    /// See [`TakeRefusal::MayRepeat`].
    #[error("the reservation may have been placed before")]
    MayRepeat,
    /// The performance's seats are not loaded; see [`SeatLocks::load`].
    #[error("the seats are not loaded")]
    NotLoaded,
}

/// The live state of seats. It quickly refuses what the claims would refuse. It may be lost at any time and is then loaded from
/// the claims.
///
/// A slot beyond the loaded state, or one that is no seat, counts as taken.
///
/// What a fan *has* is every seat whose lock, held or sold, is of a reservation of the fan. It is known before anything is locked, so
/// that a call that is refused never makes a seat look taken. It costs at most a few bytes for each reservation of the fan, up to
/// [`RESERVATIONS_REMEMBERED`].
///
/// # Contract
/// - `is_not_loaded_at_first`: there is no snapshot and no count, and takes are refused with [`TakeRefusal::NotLoaded`]
/// - `loads_free_seats_and_locks`: the snapshot is `all_free` with the locks applied
/// - `loads_at_the_given_version`: the snapshot has the version that was passed
/// - `loads_once`: a second load changes nothing
/// - `lets_one_load_at_a_time`: of a hundred concurrent calls that ask, one may load; then no other until `until` has passed or a
///   load has finished
/// - `takes_free_seats`: they are held; nothing else changes
/// - `takes_all_or_none`: [`TakeRefusal::Taken`] names the taken ones, in order, and the version; the others stay free
/// - `takes_once_under_contention`: of a hundred concurrent takes of the same seats, one succeeds
/// - `takes_again_for_the_same_owner`: seats that are all held by this owner are taken again, until the new deadline
/// - `takes_preventing_orphans`: with [`Orphans::Prevent`], a take that would leave orphan seats is refused with
///   [`TakeRefusal::WouldOrphan`], which names those that [`Orphans::left_by`] finds: no accessible seats, and ordinary seats that
///   have only accessible neighbours left. Taken seats are refused first, and seats that are all held by this owner are taken again
/// - `takes_the_best_block`: the one that [`SeatSearch::choose`] chooses from the snapshot, in venues of any occupation
/// - `takes_a_split_only_where_allowed`: and then the one that [`SeatSearch::choose`] chooses
/// - `chooses_accessible_seats_for_those_who_ask`: those that [`SeatSearch::choose`] chooses, with stretches that overlap
/// - `chooses_nothing_where_nothing_fits`: [`ChooseRefusal::NoneFits`] names the version, and nothing changes
/// - `chooses_under_contention`: a hundred concurrent calls get different seats, and none is refused while a block is free
/// - `chooses_again_for_the_same_owner`: an owner that still holds the seats chosen for it a moment ago gets them again, until the
///   new deadline. If it no longer holds them, or the search could not have chosen them, it gets others
/// - `takes_free_units`: those that [`UnitSearch::choose`] chooses from the snapshot, in areas of any occupation
/// - `refuses_where_too_few_units_are_left`: [`ChooseRefusal::TooFewLeft`] has the number of free units and the version. Nothing
///   changes, and no slot outside the area is taken
/// - `sells_an_area_to_the_last_unit`: two hundred concurrent calls that want more than the capacity take exactly the capacity; none
///   is refused while as many units as it wants are free
/// - `takes_units_again_for_the_same_owner`: as for seats
/// - `refuses_over_the_limit`: a take of named seats, best seats or units that would give the fan more than
///   [`LockTerms::seats_per_fan`] is refused with [`TakeRefusal::OverLimit`] or [`ChooseRefusal::OverLimit`]. Nothing changes, no seat
///   and no version. Taken seats and orphan seats are refused first; where nothing is chosen yet, the limit comes first
/// - `refuses_over_the_limit_under_contention`: of a hundred concurrent takes of one fan, no more are locked than the limit, and exactly
///   the limit where each takes one seat
/// - `counts_what_a_fan_has`: held and sold seats count, whether they were taken or marked. Seats that were released, or that others
///   or the operators have since, do not
/// - `says_what_fans_bought`: the sold seats of each fan, in the order of the fans; held ones are not bought
/// - `knows_the_limit_after_a_load`: what the loaded locks give to a fan counts
/// - `locks_nothing_for_a_repeat`: for a reservation that had locks before, from a take, a mark or a load, a call without
///   [`LockTerms::is_new`] is refused with `MayRepeat` and changes nothing, unless the reservation holds exactly the seats of the call
/// - `forgets_no_reservation`: and so is a call of a fan who had locks for [`RESERVATIONS_REMEMBERED`] other reservations
/// - `refuses_slots_that_are_no_seat`: separators and slots past the end count as taken
/// - `releases_only_its_own`: slots that are held by another owner, sold or free do not change
/// - `marks_over_anything`: a seat of any status gets that of the lock, because the lock comes from a claim
/// - `keeps_blocked_seats_from_everybody`: a blocked seat counts as taken, is never chosen, and is counted neither as free nor as held.
///   It has no deadline, and no owner can release it
/// - `unblocks_only_what_is_blocked`: held, sold and free seats do not change
/// - `counts_its_stock`: after each change the counts are those of the snapshot of that version; `None` where nothing is loaded
/// - `versions_grow_by_one_with_each_change`: and only then; every changing call returns a version that shows its change
/// - `reports_overdue_holds`: those whose deadline is at or before `before`, at most `limit`, and no sold seats
/// - `says_who_holds`: the locks of the given seats that are held, in the order of the slots
/// - `keeps_performances_apart`: a change of one does not change another
///
/// [`SeatSearch::choose`]: crate::booking::best_available::SeatSearch::choose
/// [`UnitSearch::choose`]: crate::booking::unit_search::UnitSearch::choose
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatLocks: Send + Sync {
    /// Loads the seats of a performance unless they are loaded. `all_free` is the state of the performance with every seat
    /// free that is for sale.
    /// `version` is the first version: higher than any that an earlier load may have reached.
    async fn load(
        &self,
        performance: PerformanceId,
        all_free: &[Option<SeatStatus>],
        locks: &[SeatLock],
        version: u64,
    ) -> Result<(), Unavailable>;

    /// Whether the caller should load the seats, for which it has until `until`. So when many callers find that the seats are not
    /// loaded, one of them reads the claims. A load by another caller is correct too.
    async fn may_load(&self, performance: PerformanceId, now: Timestamp, until: Timestamp)
    -> Result<bool, Unavailable>;

    /// Holds free seats, all or none, and says the version that shows it.
    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        orphans: Orphans,
        terms: LockTerms,
    ) -> Result<u64, PortError<TakeRefusal>>;

    /// Holds the free seats or units that a search finds. They are chosen and held in one step.
    async fn take_chosen(
        &self,
        performance: PerformanceId,
        search: &Search,
        terms: LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>>;

    /// Frees the given seats that this owner holds. Returns a version that shows it; none where nothing is loaded.
    async fn release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<Option<u64>, Unavailable>;

    /// Frees the given seats that are blocked. Returns a version that shows it; none where nothing is loaded.
    async fn unblock(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Option<u64>, Unavailable>;

    /// Sets seats to the status and owner of their claims. Returns a version that shows it; none where nothing is loaded, and
    /// then nothing is changed.
    async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Result<Option<u64>, Unavailable>;

    /// The locks of the given seats that are held.
    async fn holders(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<SeatLock>, Unavailable>;

    /// How many seats of the performance each of these fans has bought, in the order of the argument; 0 where nothing is loaded.
    async fn bought(&self, performance: PerformanceId, users: &[UserId]) -> Result<Vec<u32>, Unavailable>;

    /// A copy of the state; none if not loaded.
    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<SeatState>, Unavailable>;

    /// The counts of free and held seats, with their version, in the order of the argument; none where nothing is loaded.
    async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<Option<StockAt>>, Unavailable>;

    /// Held seats whose deadline is at or before `before`, oldest first: they were not released, or their hold was never placed.
    async fn overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SeatLock>, Unavailable>;
}
