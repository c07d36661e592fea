//! The cases of [`SeatLocks`](encore_domain::ports::SeatLocks).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::collections::BTreeSet;
use std::sync::Arc;

use encore_domain::alternatives::left_alone;
use encore_domain::best_available::{SeatOrder, SeatSearch};
use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{ChooseRefusal, TakeRefusal, TakenSeats};
use encore_domain::seat_chart::Slot;
use encore_domain::seat_state::{FREE, HELD, NO_SEAT, SOLD, SeatLock, SeatState, SeatStock, StockAt, all_free};
use encore_domain::time::Timestamp;

use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{SMALL_CHART_SEATS, at_secs, id, just_before, slots, small_chart};

/// Stamps the cases of the port `SeatLocks`.
#[macro_export]
macro_rules! seat_locks {
    ($($with:tt)+) => {
        $crate::suite! { seat_locks [
            is_not_loaded_at_first,
            loads_free_seats_and_locks,
            loads_at_the_version_it_is_told,
            loads_once,
            lets_one_load_at_a_time,
            takes_free_seats,
            takes_all_or_none,
            takes_once_under_contention,
            takes_again_for_the_same_owner,
            takes_leaving_none_alone,
            takes_the_best_block,
            takes_a_split_only_where_allowed,
            chooses_nothing_where_nothing_fits,
            chooses_under_contention,
            chooses_again_for_the_same_owner,
            refuses_slots_that_are_no_seat,
            releases_only_its_own,
            marks_over_anything,
            counts_its_stock,
            versions_grow_by_one_with_each_change,
            reports_overdue_holds,
            says_who_holds,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

/// Beyond what 32 bits and the mantissa of a small float hold, as versions that begin with a clock are.
const FIRST_VERSION: u64 = 1_790_000_000_000_001;
/// How many fans want the same seats.
const HUNDRED: usize = 100;

impl SpeedBench {
    /// A performance in the small hall with its seats loaded, all free.
    pub(crate) async fn loaded(&self) -> PerformanceId {
        let performance = id();
        self.load(performance, &[]).await;
        performance
    }

    pub(crate) async fn load(&self, performance: PerformanceId, locks: &[SeatLock]) {
        let free = all_free(&small_chart());
        self.seat_locks.load(performance, &free, locks, FIRST_VERSION).await.expect("the store answers");
    }

    /// Holds seats until a minute after the start.
    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<u64, PortError<TakeRefusal>> {
        self.seat_locks.take(performance, slots, owner, at_secs(60)).await
    }

    /// Holds free seats for somebody, and says for whom.
    pub(crate) async fn taken(
        &self,
        performance: PerformanceId,
        seats: &[usize],
        held_until: Timestamp,
    ) -> ReservationId {
        let owner = id();
        let taken = self.seat_locks.take(performance, &slots(seats), owner, held_until).await;
        taken.expect("the seats are free");
        owner
    }

    /// Holds the best seats until a minute after the start.
    async fn take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        owner: ReservationId,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        self.seat_locks.take_best(performance, search, owner, at_secs(60)).await
    }

    /// A performance of which each seat is held or sold if its number in the chart is taken.
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

    async fn seat_bytes(&self, performance: PerformanceId) -> Vec<u8> {
        self.seats(performance).await.expect("loaded").bytes
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

/// The state string of the small hall with these seats held and sold.
fn bytes(held: &[usize], sold: &[usize]) -> Vec<u8> {
    let mut bytes = all_free(&small_chart());
    for (seats, byte) in [(held, HELD), (sold, SOLD)] {
        for slot in slots(seats) {
            bytes[slot.0 as usize] = byte;
        }
    }
    bytes
}

pub(crate) fn lock(seat: usize, owner: ReservationId, held_until: Option<Timestamp>) -> SeatLock {
    SeatLock { slot: slots(&[seat])[0], owner, held_until }
}

/// A search for so many seats of the small hall, of these sections and grades.
fn search(count: usize, sections: &[u16], grades: &[u16], allow_split: bool) -> SeatSearch {
    let order = SeatOrder::new(&small_chart(), sections, |seat| grades.contains(&seat.grade));
    SeatSearch { order: Arc::new(order), count, allow_split }
}

/// Every search that differs in sections, grades, count or split.
fn searches() -> impl Iterator<Item = SeatSearch> {
    let sections: [&[u16]; 4] = [&[0, 1], &[1, 0], &[0], &[1]];
    let grades: [&[u16]; 3] = [&[0, 1], &[0], &[1]];
    let all = sections.into_iter().flat_map(move |sections| grades.map(|grades| (sections, grades)));
    let all = all.flat_map(|wanted| (1..=8).map(move |count| (wanted, count)));
    all.flat_map(|((sections, grades), count)| [false, true].map(|split| search(count, sections, grades, split)))
}

pub async fn is_not_loaded_at_first(bench: SpeedBench) {
    let (performance, owner) = (id(), id());
    assert_eq!(bench.seats(performance).await, None);
    assert_eq!(bench.stock(&[performance]).await, [None]);
    assert_eq!(refused(bench.take(performance, &slots(&[0]), owner).await), TakeRefusal::NotLoaded);

    let refusal = refused(bench.take_best(performance, &search(1, &[0, 1], &[0, 1], true), owner).await);
    assert_eq!(refusal, ChooseRefusal::NotLoaded);

    assert_eq!(bench.release_seats(performance, &slots(&[0]), owner).await, None);
    assert_eq!(bench.mark(performance, &[lock(0, owner, None)]).await, None);
    assert_eq!(bench.overdue(performance, at_secs(1_000), 100).await, []);
    assert_eq!(bench.seats(performance).await, None);
}

pub async fn loads_free_seats_and_locks(bench: SpeedBench) {
    let (performance, owner, buyer) = (id(), id(), id());
    let locks = [lock(1, owner, Some(at_secs(60))), lock(2, owner, Some(at_secs(60))), lock(25, buyer, None)];
    bench.load(performance, &locks).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[1, 2], &[25]));

    assert_eq!(bench.overdue(performance, at_secs(60), 1).await.len(), 1);
    bench.release_seats(performance, &slots(&[1, 25]), owner).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[2], &[25]));
    assert_eq!(bench.overdue(performance, at_secs(60), 100).await, [locks[1]]);
}

pub async fn loads_at_the_version_it_is_told(bench: SpeedBench) {
    let (performance, owner) = (bench.loaded().await, id());
    assert_eq!(bench.version(performance).await, FIRST_VERSION);
    let version = bench.take(performance, &slots(&[0]), owner).await;
    assert_eq!(version.expect("the seat is free"), FIRST_VERSION + 1);
    let with_locks = id();
    bench.load(with_locks, &[lock(0, owner, Some(at_secs(60))), lock(1, owner, None)]).await;
    assert_eq!(bench.version(with_locks).await, FIRST_VERSION);
}

pub async fn loads_once(bench: SpeedBench) {
    let performance = bench.loaded().await;
    bench.taken(performance, &[0], at_secs(60)).await;
    let before = bench.seats(performance).await;
    bench.load(performance, &[lock(5, id(), Some(at_secs(60)))]).await;
    assert_eq!(bench.seats(performance).await, before);
    assert_eq!(bench.overdue(performance, at_secs(60), 100).await.len(), 1);
}

pub async fn lets_one_load_at_a_time(bench: SpeedBench) {
    let performance = id();
    let may_load = async |now, until| {
        bench.seat_locks.may_load(performance, at_secs(now), at_secs(until)).await.expect("the store answers")
    };
    let asked = at_once((0..HUNDRED).map(|_| {
        let seat_locks = Arc::clone(&bench.seat_locks);
        async move { seat_locks.may_load(performance, at_secs(0), at_secs(10)).await.expect("the store answers") }
    }));
    assert_eq!(asked.await.into_iter().filter(|may| *may).count(), 1);
    assert!(!may_load(9, 19).await);
    assert!(may_load(10, 20).await, "its time is over");
    assert!(!may_load(11, 21).await);
    bench.load(performance, &[]).await;
    assert!(may_load(11, 21).await, "a load has ended it");
}

pub async fn takes_free_seats(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let version = bench.take(performance, &slots(&[3, 4, 20]), id()).await.expect("the seats are free");
    assert_eq!(bench.seats(performance).await, Some(SeatState { bytes: bytes(&[3, 4, 20], &[]), version }));
    bench.take(performance, &slots(&[2, 5]), id()).await.expect("the seats are free");
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[2, 3, 4, 5, 20], &[]));
}

pub async fn takes_all_or_none(bench: SpeedBench) {
    let performance = bench.loaded().await;
    bench.taken(performance, &[3, 4], at_secs(60)).await;
    bench.mark(performance, &[lock(6, id(), None)]).await;
    let before = bench.seats(performance).await;

    let refusal = refused(bench.take(performance, &slots(&[2, 3, 4, 5, 6, 7]), id()).await);
    let version = before.as_ref().expect("loaded").version;
    assert_eq!(refusal, TakeRefusal::Taken { slots: slots(&[3, 4, 6]), version });
    assert_eq!(bench.seats(performance).await, before);
    bench.take(performance, &slots(&[2, 5, 7]), id()).await.expect("the others stayed free");
}

pub async fn takes_once_under_contention(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let wanted = slots(&[0, 1, 2]);
    let owners: Vec<ReservationId> = (0..HUNDRED).map(|_| id()).collect();
    let answers = at_once(owners.iter().map(|owner| {
        let (seat_locks, wanted, owner) = (Arc::clone(&bench.seat_locks), wanted.clone(), *owner);
        async move { seat_locks.take(performance, &wanted, owner, at_secs(60)).await }
    }))
    .await;

    let mut winners = Vec::new();
    for (owner, answer) in owners.into_iter().zip(answers) {
        if answer.is_ok() {
            winners.push(owner);
        } else {
            let version = FIRST_VERSION + 1;
            assert_eq!(refused(answer), TakeRefusal::Taken { slots: wanted.clone(), version });
        }
    }
    assert_eq!(winners.len(), 1);
    let owners = bench.overdue(performance, at_secs(60), 100).await.into_iter().map(|lock| lock.owner);
    assert_eq!(owners.collect::<Vec<_>>(), [winners[0]; 3]);
}

pub async fn takes_again_for_the_same_owner(bench: SpeedBench) {
    let (performance, owner) = (bench.loaded().await, id());
    let version = bench.take(performance, &slots(&[0, 1]), owner).await.expect("the seats are free");
    let again = bench.take(performance, &slots(&[0, 1]), owner).await.expect("the seats are the owner's");
    assert_eq!(again, version);
    assert_eq!(bench.seats(performance).await, Some(SeatState { bytes: bytes(&[0, 1], &[]), version }));

    let later = at_secs(3_600);
    let extended = bench.seat_locks.take(performance, &slots(&[0, 1]), owner, later).await;
    assert_eq!(extended.expect("the seats are the owner's"), version);
    let overdue = bench.seat_locks.overdue(performance, just_before(later), 10).await;
    assert_eq!(overdue.expect("the store answers"), [], "the new deadline is the one that counts");

    bench.mark(performance, &[lock(1, owner, None)]).await;
    let refusal = refused(bench.take(performance, &slots(&[1]), owner).await);
    let expected = TakeRefusal::Taken { slots: slots(&[1]), version: bench.version(performance).await };
    assert_eq!(refusal, expected, "a sold seat is not held by its owner");
}

pub async fn takes_leaving_none_alone(bench: SpeedBench) {
    // Every choice of one to three seats of the stalls, in which some are taken: at the ends of a row, at the aisle, in gaps of
    // one to four.
    let chart = small_chart();
    let seats = |first: usize, last: usize| BTreeSet::from([first, usize::midpoint(first, last), last]);
    let choices: BTreeSet<BTreeSet<usize>> =
        (0..13).flat_map(|first| (first..13).map(move |last| seats(first, last))).collect();
    let choices: Vec<Vec<Slot>> =
        choices.into_iter().map(|seats| slots(&seats.into_iter().collect::<Vec<usize>>())).collect();
    for taken in [vec![], vec![1], vec![2, 6], vec![0, 5, 9, 12]] {
        let performance = bench.occupied(|seat| taken.contains(&seat)).await;
        let before = bench.seats(performance).await.expect("loaded");
        for choice in &choices {
            let owner = id();
            let taking = bench.seat_locks.take_leaving_none_alone(performance, choice, owner, at_secs(60)).await;
            let taken: Vec<Slot> =
                choice.iter().copied().filter(|slot| before.bytes[slot.0 as usize] != FREE).collect();
            let alone = left_alone(&before.bytes, choice);
            let now = bench.seats(performance).await.expect("loaded");
            if !taken.is_empty() {
                let expected = TakeRefusal::Taken { slots: taken, version: now.version };
                assert_eq!(refused(taking), expected);
                assert_eq!(now.bytes, before.bytes);
            } else if !alone.is_empty() {
                assert!(alone.iter().all(|slot| chart.seat_at(*slot).is_some()));
                assert_eq!(refused(taking), TakeRefusal::LeavesAlone { slots: alone }, "{choice:?}");
                assert_eq!(now.bytes, before.bytes);
            } else {
                let version = taking.expect("free, and nobody is alone");
                let again = bench.seat_locks.take_leaving_none_alone(performance, choice, owner, at_secs(90)).await;
                assert_eq!(again.expect("the owner's"), version);
                bench.release_seats(performance, choice, owner).await;
            }
        }
    }
}

pub async fn takes_the_best_block(bench: SpeedBench) {
    // From an empty hall to one that is nearly sold, each with gaps in other places.
    for tenths in 0..10 {
        for search in searches().filter(|search| !search.allow_split) {
            let performance = bench.occupied(|seat| (seat * (7 + tenths) + 3) % 10 < tenths).await;
            assert_chosen_as_in_the_domain(&bench, performance, &search).await;
        }
    }
}

/// What is chosen is what the domain chooses, and is held afterwards; or nothing is, and nothing changes.
async fn assert_chosen_as_in_the_domain(bench: &SpeedBench, performance: PerformanceId, search: &SeatSearch) {
    let before = bench.seats(performance).await.expect("loaded");
    let owner = id();
    let answer = bench.take_best(performance, search, owner).await;
    let after = bench.seats(performance).await.expect("loaded");
    let Some(chosen) = search.choose(&before.bytes) else {
        assert_eq!(refused(answer), ChooseRefusal::NoneFits { version: before.version });
        assert_eq!(after, before);
        return;
    };
    let taken = answer.expect("there are seats that fit");
    assert_eq!(taken.slots, chosen, "{search:?} of {:?}", String::from_utf8_lossy(&before.bytes));
    let mut bytes = before.bytes;
    for slot in &chosen {
        bytes[slot.0 as usize] = HELD;
    }
    assert_eq!(after, SeatState { bytes, version: taken.version });
    assert!(taken.version > before.version);
    let at = StockAt { version: after.version, stock: after.stock() };
    assert_eq!(bench.stock(&[performance]).await, [Some(at)]);
    let own = bench.overdue(performance, at_secs(60), 100).await.into_iter().filter(|lock| lock.owner == owner);
    assert_eq!(own.count(), chosen.len(), "they are this owner's");
}

pub async fn takes_a_split_only_where_allowed(bench: SpeedBench) {
    // Every third seat is taken: nobody finds three together, except where nothing is taken.
    for search in searches().filter(|search| search.allow_split) {
        let performance = bench.occupied(|seat| seat.is_multiple_of(3)).await;
        assert_chosen_as_in_the_domain(&bench, performance, &search).await;
    }
    let performance = bench.occupied(|seat| seat.is_multiple_of(3)).await;
    let together = search(4, &[0, 1], &[0, 1], false);
    assert!(matches!(refused(bench.take_best(performance, &together, id()).await), ChooseRefusal::NoneFits { .. }));
    let apart = SeatSearch { allow_split: true, ..together };
    assert_eq!(bench.take_best(performance, &apart, id()).await.expect("two and two").slots.len(), 4);
}

pub async fn chooses_nothing_where_nothing_fits(bench: SpeedBench) {
    let performance = bench.occupied(|seat| seat != 8 && seat != 9).await;
    let before = bench.seats(performance).await.expect("loaded");
    let everywhere = |count, allow_split| search(count, &[0, 1], &[0, 1], allow_split);
    for search in [everywhere(3, true), search(2, &[1], &[0, 1], true), search(2, &[0, 1], &[1], true)] {
        let refusal = refused(bench.take_best(performance, &search, id()).await);
        assert_eq!(refusal, ChooseRefusal::NoneFits { version: before.version });
        assert_eq!(bench.seats(performance).await.as_ref(), Some(&before));
    }
    let last = bench.take_best(performance, &everywhere(2, false), id()).await.expect("two are left");
    assert_eq!(last.slots, slots(&[8, 9]));
}

pub async fn chooses_under_contention(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let answers = at_once((0..HUNDRED).map(|turn| {
        let seat_locks = Arc::clone(&bench.seat_locks);
        let search = search(1 + turn % 2, &[0, 1], &[0, 1], false);
        async move { (search.count, seat_locks.take_best(performance, &search, id(), at_secs(60)).await) }
    }))
    .await;

    let mut taken: Vec<Slot> = Vec::new();
    let mut alone_refused = false;
    for (count, answer) in answers {
        if let Ok(seats) = answer {
            assert_eq!(seats.slots.len(), count);
            taken.extend(seats.slots);
        } else {
            assert!(matches!(refused(answer), ChooseRefusal::NoneFits { .. }));
            alone_refused |= count == 1;
        }
    }
    let all = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), all, "no seat was given twice");
    let state = bench.seats(performance).await.expect("loaded");
    assert_eq!(state.stock().held as usize, all);
    assert!(
        alone_refused && !state.bytes.contains(&FREE),
        "a hundred want more than there is, and one seat is a block"
    );
}

pub async fn chooses_again_for_the_same_owner(bench: SpeedBench) {
    let (performance, owner) = (bench.loaded().await, id());
    let three = search(3, &[0, 1], &[0, 1], false);
    let first = bench.take_best(performance, &three, owner).await.expect("the hall is empty");
    let other = bench.take_best(performance, &three, id()).await.expect("there is more");
    assert!(other.slots.iter().all(|slot| !first.slots.contains(slot)));

    let later = at_secs(3_600);
    let again = bench.seat_locks.take_best(performance, &three, owner, later).await.expect("the same again");
    assert_eq!(again, TakenSeats { version: other.version, ..first.clone() });
    let own = |locks: Vec<SeatLock>| locks.into_iter().filter(|lock| lock.owner == owner).count();
    assert_eq!(own(bench.overdue(performance, just_before(later), 10).await), 0, "the new deadline counts");

    bench.release_seats(performance, &first.slots, owner).await;
    let next = bench.take_best(performance, &three, id()).await.expect("the best are free again");
    assert_eq!(next.slots, first.slots);
    let others = bench.take_best(performance, &three, owner).await.expect("there is more");
    assert!(others.slots.iter().all(|slot| !first.slots.contains(slot)));
}

pub async fn refuses_slots_that_are_no_seat(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let free = all_free(&small_chart());
    let separator = free.iter().position(|byte| *byte == NO_SEAT).expect("rows are apart");
    let past_the_end = u32::try_from(free.len()).expect("a small hall");
    let no_seats = [Slot(u32::try_from(separator).expect("a small hall")), Slot(past_the_end), Slot(1_000_000)];
    let before = bench.seats(performance).await;

    for slot in no_seats {
        let wanted = [slots(&[0]), vec![slot]].concat();
        let refusal = refused(bench.take(performance, &wanted, id()).await);
        assert_eq!(refusal, TakeRefusal::Taken { slots: vec![slot], version: bench.version(performance).await });
    }
    assert_eq!(bench.seats(performance).await, before);
}

pub async fn releases_only_its_own(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let owner = bench.taken(performance, &[0, 1, 2, 3], at_secs(60)).await;
    let other = bench.taken(performance, &[4], at_secs(60)).await;
    bench.mark(performance, &[lock(3, owner, None)]).await;

    let between_rows = Slot(slots(&[8])[0].0 - 1);
    let asked = [slots(&[0, 1, 3, 4, 5]), vec![between_rows, Slot(1_000_000)]].concat();
    bench.release_seats(performance, &asked, owner).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[2, 4], &[3]));
    let left = [lock(2, owner, Some(at_secs(60))), lock(4, other, Some(at_secs(60)))];
    let mut overdue = bench.overdue(performance, at_secs(60), 100).await;
    overdue.sort_by_key(|lock| lock.slot);
    assert_eq!(overdue, left);
    bench.take(performance, &slots(&[0, 1]), other).await.expect("the seats are free again");
}

pub async fn marks_over_anything(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let loser = bench.taken(performance, &[1, 2], at_secs(60)).await;
    let (holder, buyer) = (id(), id());
    bench.mark(performance, &[lock(5, buyer, None)]).await;

    let held_until = Some(at_secs(90));
    let held = [lock(0, holder, held_until), lock(1, holder, held_until), lock(5, holder, held_until)];
    let sold = [lock(2, buyer, None), lock(3, buyer, None)];
    bench.mark(performance, &[held.as_slice(), &sold].concat()).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[0, 1, 5], &[2, 3]));

    bench.release_seats(performance, &slots(&[0, 1, 2, 3, 5]), loser).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[0, 1, 5], &[2, 3]));
    let mut overdue = bench.overdue(performance, at_secs(90), 100).await;
    overdue.sort_by_key(|lock| lock.slot);
    assert_eq!(overdue, held);
    bench.release_seats(performance, &slots(&[0, 1, 5]), holder).await;
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[], &[2, 3]));
}

pub async fn counts_its_stock(bench: SpeedBench) {
    let (first, unknown, second) = (bench.loaded().await, id(), bench.loaded().await);
    let all = u32::try_from(SMALL_CHART_SEATS).expect("a small hall");
    let counts = async |free: u32, held: u32| {
        let stock = SeatStock { free, held };
        let state = bench.seats(first).await.expect("loaded");
        assert_eq!(state.stock(), stock);
        let untouched = StockAt { version: FIRST_VERSION, stock: SeatStock { free: all, held: 0 } };
        let at = StockAt { version: state.version, stock };
        assert_eq!(bench.stock(&[second, unknown, first]).await, [Some(untouched), None, Some(at)]);
    };
    counts(all, 0).await;
    let owner = bench.taken(first, &[0, 1, 2], at_secs(60)).await;
    counts(all - 3, 3).await;
    refused(bench.take(first, &slots(&[2, 3]), id()).await);
    counts(all - 3, 3).await;
    bench.take(first, &slots(&[0, 1, 2]), owner).await.expect("the seats are the owner's");
    counts(all - 3, 3).await;
    bench.mark(first, &[lock(0, owner, None), lock(9, owner, None), lock(5, owner, Some(at_secs(60)))]).await;
    counts(all - 5, 3).await;
    bench.mark(first, &[lock(0, owner, Some(at_secs(60))), lock(1, id(), Some(at_secs(60)))]).await;
    counts(all - 5, 4).await;
    bench.release_seats(first, &slots(&[0, 1, 2]), owner).await;
    counts(all - 3, 2).await;
    assert_eq!(bench.stock(&[]).await, []);

    let loaded = id();
    bench.load(loaded, &[lock(0, owner, Some(at_secs(60))), lock(1, owner, None)]).await;
    let stock = SeatStock { free: all - 2, held: 1 };
    assert_eq!(bench.stock(&[loaded]).await, [Some(StockAt { version: FIRST_VERSION, stock })]);
}

pub async fn versions_grow_by_one_with_each_change(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let mut version = bench.version(performance).await;
    let mut grown = async |grows: bool, answered: Option<u64>, what: &str| {
        version += u64::from(grows);
        assert_eq!(bench.version(performance).await, version, "{what}");
        assert_eq!(answered, Some(version), "{what}");
    };
    let owner = id();
    let taken = bench.take(performance, &slots(&[0, 1]), owner).await;
    grown(true, taken.ok(), "a take").await;
    refused(bench.take(performance, &slots(&[1, 2]), id()).await);
    let other = bench.release_seats(performance, &slots(&[0, 1]), id()).await;
    grown(false, other, "a refused take, and a release by another").await;
    let released = bench.release_seats(performance, &slots(&[0]), owner).await;
    grown(true, released, "a release").await;
    let again = bench.release_seats(performance, &slots(&[0]), owner).await;
    grown(false, again, "a second release").await;
    let marked = bench.mark(performance, &[lock(1, owner, None), lock(2, owner, None)]).await;
    grown(true, marked, "a mark").await;
    let again = bench.mark(performance, &[lock(1, owner, None)]).await;
    grown(false, again, "a second mark").await;
    bench.load(performance, &[]).await;
    assert_eq!(bench.version(performance).await, version, "a second load");
}

pub async fn reports_overdue_holds(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let third = bench.taken(performance, &[0], at_secs(30)).await;
    let first = bench.taken(performance, &[3], at_secs(10)).await;
    let second = bench.taken(performance, &[1], at_secs(20)).await;
    let paid = bench.taken(performance, &[4], at_secs(5)).await;
    let released = bench.taken(performance, &[5], at_secs(5)).await;
    bench.mark(performance, &[lock(4, paid, None), lock(6, paid, None)]).await;
    bench.release_seats(performance, &slots(&[5]), released).await;

    let locks =
        [lock(3, first, Some(at_secs(10))), lock(1, second, Some(at_secs(20))), lock(0, third, Some(at_secs(30)))];
    assert_eq!(bench.overdue(performance, just_before(at_secs(10)), 100).await, []);
    assert_eq!(bench.overdue(performance, at_secs(20), 100).await, locks[..2]);
    assert_eq!(bench.overdue(performance, at_secs(1_000), 2).await, locks[..2]);
    assert_eq!(bench.overdue(performance, at_secs(1_000), 100).await, locks);
    assert_eq!(bench.seat_bytes(performance).await, bytes(&[0, 1, 3], &[4, 6]), "telling frees nothing");
}

pub async fn says_who_holds(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let first = bench.taken(performance, &[3, 0], at_secs(30)).await;
    let second = bench.taken(performance, &[4], at_secs(10)).await;
    bench.mark(performance, &[lock(5, first, None)]).await;
    let holders =
        async |seats: &[usize]| bench.seat_locks.holders(performance, &slots(seats)).await.expect("the store answers");
    let held = |seat, owner, secs| lock(seat, owner, Some(at_secs(secs)));
    assert_eq!(holders(&[4, 3, 5, 9]).await, [held(3, first, 30), held(4, second, 10)]);
    assert_eq!(holders(&[]).await, []);
    bench.release_seats(performance, &slots(&[3]), first).await;
    assert_eq!(holders(&[0, 3, 4]).await, [held(0, first, 30), held(4, second, 10)]);
    assert_eq!(bench.seat_locks.holders(id(), &slots(&[0])).await.expect("the store answers"), []);
}

pub async fn keeps_performances_apart(bench: SpeedBench) {
    let (evening, matinee, owner) = (bench.loaded().await, bench.loaded().await, id());
    let untouched = bench.seats(matinee).await;
    bench.take(evening, &slots(&[0, 1]), owner).await.expect("the seats are free");
    assert_eq!(bench.seats(matinee).await, untouched);
    assert_eq!(bench.overdue(matinee, at_secs(60), 100).await, []);

    bench.take(matinee, &slots(&[1, 2]), owner).await.expect("the seats are free");
    bench.release_seats(evening, &slots(&[0, 1, 2]), owner).await;
    bench.mark(evening, &[lock(9, owner, None)]).await;
    assert_eq!(bench.seat_bytes(matinee).await, bytes(&[1, 2], &[]));
    assert_eq!(bench.seat_bytes(evening).await, bytes(&[], &[9]));
}
