use std::collections::BTreeSet;
use std::sync::Arc;

use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{SeatLock, SeatState, SeatStatus, StockAt, all_free};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::area::Area;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{ChooseRefusal, LockTerms, TakenSeats};

use super::FIRST_VERSION;
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{PIT_UNITS, at_secs, fan_of, festival_chart, id, just_before, lock_terms};

/// The units of an area that a store which reads in chunks reads in several chunks.
const FLOOR: u32 = 700;
/// The number of concurrent callers who want units.
const CALLERS: usize = 200;

impl SpeedBench {
    /// A performance at the festival venue, some of whose units are sold.
    pub(super) async fn festival(&self, floor: u32, is_sold: impl Fn(u32) -> bool) -> (PerformanceId, [Area; 2]) {
        let (performance, chart) = (id(), festival_chart(floor));
        let sold = chart.areas().iter().flat_map(Area::slots).filter(|slot| is_sold(*slot));
        let locks: Vec<SeatLock> = sold.map(|slot| SeatLock::sold(Slot(slot), id(), id())).collect();
        self.seat_locks.load(performance, &all_free(&chart), &locks, FIRST_VERSION).await.expect("the store answers");
        (performance, [chart.areas()[0], chart.areas()[1]])
    }

    /// Holds units until one minute after the start.
    async fn take_units(
        &self,
        performance: PerformanceId,
        search: &UnitSearch,
        owner: ReservationId,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        self.choose(performance, &Search::Units(*search), lock_terms(owner, at_secs(60))).await
    }
}

/// A search that begins at this unit of an area.
fn search(area: &Area, count: usize, from: u32) -> UnitSearch {
    UnitSearch { first: area.first, capacity: area.capacity, from: Slot(area.first.0 + from), count }
}

pub async fn takes_free_units(bench: SpeedBench) {
    for (percent, count) in [(0, 1), (0, 8), (30, 3), (90, 8), (98, 4), (99, 8), (100, 1)] {
        for from in [0, 1, 63, 64, 350, FLOOR - 1] {
            let (performance, [floor, _]) = bench.festival(FLOOR, |slot| slot * 37 % 100 < percent).await;
            let (search, owner) = (search(&floor, count, from), id());
            let before = bench.seats(performance).await.expect("loaded");
            let answer = bench.take_units(performance, &search, owner).await;
            let after = bench.seats(performance).await.expect("loaded");
            match search.choose(&before.statuses) {
                Ok(chosen) => {
                    let taken = answer.expect("enough free units");
                    assert_eq!(taken, TakenSeats { slots: chosen.clone(), version: FIRST_VERSION + 1 });
                    let mut statuses = before.statuses;
                    for slot in &chosen {
                        statuses[slot.0 as usize] = Some(SeatStatus::Held);
                    }
                    assert_eq!(after, SeatState { statuses, version: FIRST_VERSION + 1 });
                    let stock = StockAt { version: after.version, stock: after.stock() };
                    assert_eq!(bench.seat_locks.stock(&[performance]).await.expect("the store answers"), [Some(stock)]);
                    let locks = bench.seat_locks.holders(performance, &chosen).await.expect("the store answers");
                    let held = chosen.into_iter().map(|slot| SeatLock::held(slot, owner, fan_of(owner), at_secs(60)));
                    assert_eq!(locks, held.collect::<Vec<_>>());
                }
                Err(TooFewLeft { left }) => {
                    assert_eq!(refused(answer), ChooseRefusal::TooFewLeft { left, version: FIRST_VERSION });
                    assert_eq!(after, before);
                }
            }
        }
    }
}

pub async fn refuses_where_too_few_units_are_left(bench: SpeedBench) {
    let (performance, [floor, pit]) = bench.festival(FLOOR, |_| false).await;
    let sold_but = |left: u32| {
        let sold = (pit.first.0 + left..pit.slots().end).map(Slot);
        sold.map(|slot| SeatLock::sold(slot, id(), id())).collect::<Vec<_>>()
    };
    bench.mark(performance, &sold_but(3)).await;
    let before = bench.seats(performance).await.expect("loaded");
    for count in 4..=8 {
        let refusal = refused(bench.take_units(performance, &search(&pit, count, PIT_UNITS - 1), id()).await);
        assert_eq!(refusal, ChooseRefusal::TooFewLeft { left: 3, version: before.version });
    }
    assert_eq!(bench.seats(performance).await.as_ref(), Some(&before), "no unit of either area is taken");
    let last = bench.take_units(performance, &search(&pit, 3, 1), id()).await.expect("three are left");
    assert_eq!(last.slots, (0..3).map(|unit| Slot(pit.first.0 + unit)).collect::<Vec<_>>());
    let refusal = refused(bench.take_units(performance, &search(&pit, 1, 0), id()).await);
    assert_eq!(refusal, ChooseRefusal::TooFewLeft { left: 0, version: last.version });
    bench.take_units(performance, &search(&floor, 8, 0), id()).await.expect("the other area is empty");
    let unknown = refused(bench.take_units(id(), &search(&pit, 1, 0), id()).await);
    assert_eq!(unknown, ChooseRefusal::NotLoaded);
}

pub async fn sells_an_area_to_the_last_unit(bench: SpeedBench) {
    const CAPACITY: u32 = 300;
    let (performance, [floor, _]) = bench.festival(CAPACITY, |_| false).await;
    let answers = at_once((0..CALLERS).map(|turn| {
        let (seat_locks, owner) = (Arc::clone(&bench.seat_locks), id());
        let search = UnitSearch::new(&floor, 1 + turn % 4, owner);
        let (count, search) = (search.count, Search::Units(search));
        async move { (count, seat_locks.take_chosen(performance, &search, lock_terms(owner, at_secs(60))).await) }
    }))
    .await;

    let state = bench.seats(performance).await.expect("loaded");
    let free = state.free_units(&floor) as usize;
    let mut taken: Vec<Slot> = Vec::new();
    for (count, answer) in answers {
        match answer {
            Ok(seats) => {
                assert_eq!(seats.slots.len(), count);
                taken.extend(seats.slots);
            }
            Err(PortError::Refused(ChooseRefusal::TooFewLeft { left, .. })) => {
                assert!(
                    free <= left as usize && (left as usize) < count,
                    "{count} wanted, {left} left, {free} free at the end"
                );
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let once: BTreeSet<Slot> = taken.iter().copied().collect();
    assert_eq!((once.len(), taken.len()), (CAPACITY as usize, CAPACITY as usize), "every unit is taken once");
    assert!(once.iter().all(|slot| floor.slots().contains(&slot.0)));
    assert_eq!(state.stock().held, CAPACITY);
}

pub async fn takes_units_again_for_the_same_owner(bench: SpeedBench) {
    let (performance, [floor, pit]) = bench.festival(FLOOR, |_| false).await;
    let (owner, three) = (id(), search(&floor, 3, 5));
    let first = bench.take_units(performance, &three, owner).await.expect("the area is empty");
    let other = bench.take_units(performance, &three, id()).await.expect("units are left");
    assert!(other.slots.iter().all(|slot| !first.slots.contains(slot)));

    let later = at_secs(3_600);
    let repeated = Search::Units(three);
    let again = bench.choose(performance, &repeated, lock_terms(owner, later)).await.expect("the same units");
    assert_eq!(again, TakenSeats { version: other.version, ..first.clone() });
    let overdue = bench.seat_locks.overdue(performance, just_before(later), 10).await.expect("the store answers");
    assert_eq!(
        overdue.into_iter().filter(|lock| lock.owner.reservation() == Some(owner)).count(),
        0,
        "the new deadline counts"
    );

    bench.release_seats(performance, &first.slots, owner).await;
    let next = bench.take_units(performance, &three, id()).await.expect("the first are free again");
    assert_eq!(next.slots, first.slots);
    let is_new = LockTerms { is_new: true, ..lock_terms(owner, at_secs(60)) };
    let take = async |search| bench.choose(performance, &Search::Units(search), is_new).await;
    let others = take(three).await.expect("units are left");
    assert!(others.slots.iter().all(|slot| !first.slots.contains(slot)));

    // The same owner asks for fewer units, and then for units of the other area.
    let two = take(search(&floor, 2, 5)).await.expect("two other units");
    assert!(two.slots.len() == 2 && two.slots.iter().all(|slot| !others.slots.contains(slot)), "{two:?}");
    let elsewhere = take(search(&pit, 2, 0)).await.expect("free units in the pit");
    assert!(elsewhere.slots.iter().all(|slot| pit.slots().contains(&slot.0)), "{elsewhere:?}");
}
