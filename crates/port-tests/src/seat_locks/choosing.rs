use std::sync::Arc;

use encore_domain::booking::best_available::{SeatOrder, SeatSearch};
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{Locker, SeatLock, SeatState, SeatStatus, StockAt};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{ChooseRefusal, LockTerms, TakenSeats};

use super::{HUNDRED, accessible_search, search, searches};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{accessible_chart, at_secs, id, just_before, lock_terms, slots, small_chart};

pub async fn takes_the_best_block(bench: SpeedBench) {
    // From an empty venue to one that is nearly sold out, each with different gaps.
    for tenths in 0..10 {
        for search in searches().filter(|search| !search.allow_split) {
            let performance = bench.occupied(|seat| (seat * (7 + tenths) + 3) % 10 < tenths).await;
            assert_chosen_as_in_the_domain(&bench, performance, &search).await;
        }
    }
}

/// Checks that the store holds the seats that the domain chooses. If the domain chooses none, the store changes
/// nothing.
async fn assert_chosen_as_in_the_domain(bench: &SpeedBench, performance: PerformanceId, search: &SeatSearch) {
    let before = bench.seats(performance).await.expect("loaded");
    let owner = id();
    let answer = bench.take_best(performance, search, owner).await;
    let after = bench.seats(performance).await.expect("loaded");
    let Some(chosen) = search.choose(&before.statuses) else {
        assert_eq!(refused(answer), ChooseRefusal::NoneFits { version: before.version });
        assert_eq!(after, before);
        return;
    };
    let taken = answer.expect("there are seats that fit");
    assert_eq!(taken.slots, chosen, "{search:?} of {:?}", before.statuses);
    let mut statuses = before.statuses;
    for slot in &chosen {
        statuses[slot.0 as usize] = Some(SeatStatus::Held);
    }
    assert_eq!(after, SeatState { statuses, version: taken.version });
    assert!(taken.version > before.version);
    let at = StockAt { version: after.version, stock: after.stock() };
    assert_eq!(bench.stock(&[performance]).await, [Some(at)]);
    let own = bench
        .overdue(performance, at_secs(60), 100)
        .await
        .into_iter()
        .filter(|lock| lock.owner.locker() == Locker::Fan(owner));
    assert_eq!(own.count(), chosen.len(), "all of them belong to this owner");
}

pub async fn takes_a_split_only_where_allowed(bench: SpeedBench) {
    // Every third seat is taken, so no three free seats are adjacent, except where no seat is taken.
    for search in searches().filter(|search| search.allow_split) {
        let performance = bench.occupied(|seat| seat.is_multiple_of(3)).await;
        assert_chosen_as_in_the_domain(&bench, performance, &search).await;
    }
    let performance = bench.occupied(|seat| seat.is_multiple_of(3)).await;
    let together = search(4, &[0, 1], &[0, 1], false);
    assert!(matches!(refused(bench.take_best(performance, &together, id()).await), ChooseRefusal::NoneFits { .. }));
    let apart = SeatSearch { allow_split: true, ..together };
    assert_eq!(bench.take_best(performance, &apart, id()).await.expect("two pairs").slots.len(), 4);
}

pub async fn chooses_accessible_seats_for_those_who_ask(bench: SpeedBench) {
    let chart = accessible_chart();
    // Blocks overlap here: a group may sit to the left or to the right of its accessible seat.
    for (count, accessible) in (1..=6).flat_map(|count| (0..=count.min(2)).map(move |accessible| (count, accessible))) {
        for (tenths, grades) in [(0, [0, 1].as_slice()), (2, &[0, 1]), (4, &[1]), (6, &[0])] {
            let performance = bench.occupied(|seat| (seat * (7 + tenths) + 3) % 10 < tenths).await;
            let search = accessible_search(count, accessible, grades);
            let before = bench.seats(performance).await.expect("loaded");
            for slot in search.choose(&before.statuses).iter().flatten() {
                assert!(chart.seat_at(*slot).is_some());
            }
            assert_chosen_as_in_the_domain(&bench, performance, &search).await;
        }
    }
    let performance = bench.loaded().await;
    let taken = bench
        .take_best(performance, &accessible_search(3, 1, &[0, 1]), id())
        .await
        .expect("a group with one accessible seat");
    let seats: Vec<_> = taken.slots.iter().filter_map(|slot| chart.seat_at(*slot)).collect();
    assert_eq!(seats.iter().filter(|seat| seat.accessible).count(), 1, "{seats:?}");
    // The other accessible seats are not chosen while any other seat is free.
    while let Ok(taken) = bench.take_best(performance, &accessible_search(1, 0, &[0, 1]), id()).await {
        assert!(taken.slots.iter().all(|slot| chart.seat_at(*slot).is_some_and(|seat| !seat.accessible)));
    }
    let left = bench.seats(performance).await.expect("loaded").stock().free;
    assert_eq!(left, 4, "one accessible seat of five is taken");
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
    // A venue with nothing but general admission areas has neither seats nor distances.
    let order = SeatOrder { sections: vec![vec![], vec![]], distances: vec![], accessible: vec![] };
    let of_nothing = SeatSearch { order: Arc::new(order), count: 1, allow_split: false };
    let refusal = refused(bench.take_best(performance, &of_nothing, id()).await);
    assert_eq!(refusal, ChooseRefusal::NoneFits { version: before.version });
    let last = bench.take_best(performance, &everywhere(2, false), id()).await.expect("two are left");
    assert_eq!(last.slots, slots(&[8, 9]));
}

pub async fn chooses_under_contention(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let answers = at_once((0..HUNDRED).map(|turn| {
        let seat_locks = Arc::clone(&bench.seat_locks);
        let search = search(1 + turn % 2, &[0, 1], &[0, 1], false);
        let (count, search) = (search.count, Search::Seats(search));
        async move { (count, seat_locks.take_chosen(performance, &search, lock_terms(id(), at_secs(60))).await) }
    }))
    .await;

    let mut taken: Vec<Slot> = Vec::new();
    let mut orphans_refused = false;
    for (count, answer) in answers {
        if let Ok(seats) = answer {
            assert_eq!(seats.slots.len(), count);
            taken.extend(seats.slots);
        } else {
            assert!(matches!(refused(answer), ChooseRefusal::NoneFits { .. }));
            orphans_refused |= count == 1;
        }
    }
    let all = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), all, "no seat was given twice");
    let state = bench.seats(performance).await.expect("loaded");
    assert_eq!(state.stock().held as usize, all);
    assert!(
        orphans_refused && !state.statuses.contains(&Some(SeatStatus::Free)),
        "a hundred want more than there is, and one seat is a block"
    );
}

pub async fn chooses_again_for_the_same_owner(bench: SpeedBench) {
    let (performance, owner) = (bench.loaded().await, id());
    let three = search(3, &[0, 1], &[0, 1], false);
    let first = bench.take_best(performance, &three, owner).await.expect("the venue is empty");
    let other = bench.take_best(performance, &three, id()).await.expect("seats are left");
    assert!(other.slots.iter().all(|slot| !first.slots.contains(slot)));

    let later = at_secs(3_600);
    let repeated = Search::Seats(three.clone());
    let again = bench.choose(performance, &repeated, lock_terms(owner, later)).await.expect("the same seats");
    assert_eq!(again, TakenSeats { version: other.version, ..first.clone() });
    let own = |locks: Vec<SeatLock>| locks.into_iter().filter(|lock| lock.owner.locker() == Locker::Fan(owner)).count();
    assert_eq!(own(bench.overdue(performance, just_before(later), 10).await), 0, "the new deadline counts");

    bench.release_seats(performance, &first.slots, owner).await;
    let next = bench.take_best(performance, &three, id()).await.expect("the best are free again");
    assert_eq!(next.slots, first.slots);
    let is_new = LockTerms { is_new: true, ..lock_terms(owner, at_secs(60)) };
    let take = async |search| bench.choose(performance, &Search::Seats(search), is_new).await;
    let others = take(three).await.expect("seats are left");
    assert!(others.slots.iter().all(|slot| !first.slots.contains(slot)));

    // The same owner asks for something else: for two seats, then for three in each section, which may be split.
    let two = take(search(2, &[0, 1], &[0, 1], false)).await.expect("two other seats");
    assert!(two.slots.len() == 2 && two.slots.iter().all(|slot| !others.slots.contains(slot)), "{two:?}");
    let section = |slot: &Slot| small_chart().seat_at(*slot).map(|seat| small_chart().row_of(seat).section);
    for wanted in [0, 1] {
        let three = take(search(3, &[wanted], &[0, 1], true)).await.expect("free seats in the section");
        assert!(three.slots.iter().all(|slot| section(slot) == Some(wanted)), "{three:?}");
    }
}
