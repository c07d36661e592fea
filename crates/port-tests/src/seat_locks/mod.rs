//! The cases of [`SeatLocks`](encore_domain::ports::SeatLocks).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::best_available::{Group, SeatOrder, SeatSearch};
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatState, SeatStatus, StockAt, all_free};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{ChooseRefusal, LockTerms, TakeRefusal, TakenSeats};
use encore_domain::time::Timestamp;

use crate::SpeedBench;
use crate::fixtures::{SMALL_CHART_SEATS, accessible_chart, at_secs, fan_of, id, lock_terms, slots, small_chart};

mod blocking;
mod changing;
mod choosing;
mod limiting;
mod loading;
mod publishing;
mod taking;
mod units;

pub use blocking::*;
pub use changing::*;
pub use choosing::*;
pub use limiting::*;
pub use loading::*;
pub use publishing::*;
pub use taking::*;
pub use units::*;

/// Stamps the cases of the port `SeatLocks`.
#[macro_export]
macro_rules! seat_locks {
    ($($with:tt)+) => {
        $crate::suite! { seat_locks [
            is_not_loaded_at_first,
            loads_free_seats_and_locks,
            loads_at_the_given_version,
            loads_once,
            lets_one_load_at_a_time,
            takes_free_seats,
            takes_all_or_none,
            takes_once_under_contention,
            takes_again_for_the_same_owner,
            takes_preventing_orphans,
            takes_the_best_block,
            takes_a_split_only_where_allowed,
            chooses_accessible_seats_for_those_who_ask,
            chooses_nothing_where_nothing_fits,
            chooses_under_contention,
            chooses_again_for_the_same_owner,
            takes_free_units,
            refuses_where_too_few_units_are_left,
            sells_an_area_to_the_last_unit,
            takes_units_again_for_the_same_owner,
            refuses_over_the_limit,
            refuses_over_the_limit_under_contention,
            counts_what_a_fan_has,
            says_what_fans_bought,
            knows_the_limit_after_a_load,
            locks_nothing_for_a_repeat,
            forgets_no_reservation,
            refuses_slots_that_are_no_seat,
            releases_only_its_own,
            marks_over_anything,
            keeps_blocked_seats_from_everybody,
            unblocks_only_what_is_blocked,
            counts_its_stock,
            versions_grow_by_one_with_each_change,
            reports_overdue_holds,
            says_who_holds,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

/// A version that does not fit into 32 bits or the mantissa of an `f32`, like versions that are derived from a clock.
const FIRST_VERSION: u64 = 1_790_000_000_000_001;
/// The number of fans who want the same seats.
const HUNDRED: usize = 100;

impl SpeedBench {
    /// A performance at the small venue with its seats loaded, all free.
    pub(crate) async fn loaded(&self) -> PerformanceId {
        let performance = id();
        self.load(performance, &[]).await;
        performance
    }

    pub(crate) async fn load(&self, performance: PerformanceId, locks: &[SeatLock]) {
        let free = all_free(&small_chart());
        self.seat_locks.load(performance, &free, locks, FIRST_VERSION).await.expect("the store answers");
    }

    /// Holds seats until one minute after the start.
    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<u64, PortError<TakeRefusal>> {
        self.seat_locks.take(performance, slots, Orphans::Allow, lock_terms(owner, at_secs(60))).await
    }

    /// Holds free seats for a new owner, and returns the owner.
    pub(crate) async fn taken(
        &self,
        performance: PerformanceId,
        seats: &[usize],
        held_until: Timestamp,
    ) -> ReservationId {
        let owner = id();
        let terms = lock_terms(owner, held_until);
        let taken = self.seat_locks.take(performance, &slots(seats), Orphans::Allow, terms).await;
        taken.expect("the seats are free");
        owner
    }

    /// Holds the best available seats until one minute after the start.
    async fn take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        owner: ReservationId,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        self.choose(performance, &Search::Seats(search.clone()), lock_terms(owner, at_secs(60))).await
    }

    /// Chooses seats or units, and holds them.
    async fn choose(
        &self,
        performance: PerformanceId,
        search: &Search,
        terms: LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        self.seat_locks.take_chosen(performance, search, terms).await
    }

    /// A performance whose seats are held or sold where `taken` returns true for their index in the chart.
    async fn occupied(&self, taken: impl Fn(usize) -> bool) -> PerformanceId {
        let performance = self.loaded().await;
        let taken = (0..SMALL_CHART_SEATS).filter(|seat| taken(*seat));
        let locks: Vec<SeatLock> =
            taken.map(|seat| lock(seat, id(), (!seat.is_multiple_of(3)).then_some(at_secs(60)))).collect();
        self.mark(performance, &locks).await;
        performance
    }

    pub(crate) async fn release_seats(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Option<u64> {
        self.seat_locks.release(performance, slots, owner).await.expect("the store answers")
    }

    pub(crate) async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Option<u64> {
        self.seat_locks.mark(performance, locks).await.expect("the store answers")
    }

    pub(crate) async fn seats(&self, performance: PerformanceId) -> Option<SeatState> {
        self.seat_locks.snapshot(performance).await.expect("the store answers")
    }

    async fn seat_statuses(&self, performance: PerformanceId) -> Vec<Option<SeatStatus>> {
        self.seats(performance).await.expect("loaded").statuses
    }

    pub(crate) async fn version(&self, performance: PerformanceId) -> u64 {
        self.seats(performance).await.expect("loaded").version
    }

    async fn stock(&self, performances: &[PerformanceId]) -> Vec<Option<StockAt>> {
        self.seat_locks.stock(performances).await.expect("the store answers")
    }

    async fn overdue(&self, performance: PerformanceId, before: Timestamp, limit: u32) -> Vec<SeatLock> {
        self.seat_locks.overdue(performance, before, limit).await.expect("the store answers")
    }
}

/// The state of the small chart with these seats held and sold.
fn statuses(held: &[usize], sold: &[usize]) -> Vec<Option<SeatStatus>> {
    let mut statuses = all_free(&small_chart());
    for (seats, status) in [(held, SeatStatus::Held), (sold, SeatStatus::Sold)] {
        for slot in slots(seats) {
            statuses[slot.0 as usize] = Some(status);
        }
    }
    statuses
}

pub(crate) fn lock(seat: usize, owner: ReservationId, held_until: Option<Timestamp>) -> SeatLock {
    let slot = slots(&[seat])[0];
    let fan = fan_of(owner);
    held_until.map_or(SeatLock::sold(slot, owner, fan), |until| SeatLock::held(slot, owner, fan, until))
}

/// The lock of a blocked seat.
fn blocked(seat: usize) -> SeatLock {
    SeatLock { slot: slots(&[seat])[0], owner: SeatOwner::Operators { block: id() } }
}

/// A search for this many seats of the small venue, in these sections and grades.
fn search(count: usize, sections: &[u16], grades: &[u16], allow_split: bool) -> SeatSearch {
    let group = Group { count, accessible: 0 };
    let order = SeatOrder::new(&small_chart(), sections, group, |seat| grades.contains(&seat.grade));
    SeatSearch { order: Arc::new(order), count, allow_split }
}

/// A search for a group with accessible seats, in the small venue.
fn accessible_search(count: usize, accessible: usize, grades: &[u16]) -> SeatSearch {
    let group = Group { count, accessible };
    let order = SeatOrder::new(&accessible_chart(), &[0, 1], group, |seat| grades.contains(&seat.grade));
    SeatSearch { order: Arc::new(order), count, allow_split: false }
}

/// One search for every combination of sections, grades, count and split.
fn searches() -> impl Iterator<Item = SeatSearch> {
    let sections: [&[u16]; 4] = [&[0, 1], &[1, 0], &[0], &[1]];
    let grades: [&[u16]; 3] = [&[0, 1], &[0], &[1]];
    let all = sections.into_iter().flat_map(move |sections| grades.map(|grades| (sections, grades)));
    let all = all.flat_map(|wanted| (1..=8).map(move |count| (wanted, count)));
    all.flat_map(|((sections, grades), count)| [false, true].map(|split| search(count, sections, grades, split)))
}
