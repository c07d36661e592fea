use std::collections::BTreeSet;
use std::sync::Arc;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::seat_state::{Locker, SeatState, SeatStatus};
use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::TakeRefusal;

use super::{FIRST_VERSION, HUNDRED, lock, statuses};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{accessible_chart, at_secs, id, just_before, lock_terms, slots, small_chart};

pub async fn takes_free_seats(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let version = bench.take(performance, &slots(&[3, 4, 20]), id()).await.expect("the seats are free");
    assert_eq!(bench.seats(performance).await, Some(SeatState { statuses: statuses(&[3, 4, 20], &[]), version }));
    bench.take(performance, &slots(&[2, 5]), id()).await.expect("the seats are free");
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[2, 3, 4, 5, 20], &[]));
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
        async move { seat_locks.take(performance, &wanted, Orphans::Allow, lock_terms(owner, at_secs(60))).await }
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
    let owners = bench.overdue(performance, at_secs(60), 100).await.into_iter().map(|lock| lock.owner.locker());
    assert_eq!(owners.collect::<Vec<_>>(), [Locker::Fan(winners[0]); 3]);
}

pub async fn takes_again_for_the_same_owner(bench: SpeedBench) {
    let (performance, owner) = (bench.loaded().await, id());
    let version = bench.take(performance, &slots(&[0, 1]), owner).await.expect("the seats are free");
    let again = bench.take(performance, &slots(&[0, 1]), owner).await.expect("the seats are the owner's");
    assert_eq!(again, version);
    assert_eq!(bench.seats(performance).await, Some(SeatState { statuses: statuses(&[0, 1], &[]), version }));

    let later = at_secs(3_600);
    let extended = bench.seat_locks.take(performance, &slots(&[0, 1]), Orphans::Allow, lock_terms(owner, later)).await;
    assert_eq!(extended.expect("the seats are the owner's"), version);
    let overdue = bench.seat_locks.overdue(performance, just_before(later), 10).await;
    assert_eq!(overdue.expect("the store answers"), [], "the new deadline applies");

    bench.mark(performance, &[lock(1, owner, None)]).await;
    let refusal = refused(bench.take(performance, &slots(&[1]), owner).await);
    let expected = TakeRefusal::Taken { slots: slots(&[1]), version: bench.version(performance).await };
    assert_eq!(refusal, expected, "a sold seat is not held by its owner");
}

/// Every choice of one to three seats of the stalls: at the ends of a row, at the aisle, in gaps of one to four seats.
fn choices() -> Vec<Vec<Slot>> {
    let seats = |first: usize, last: usize| BTreeSet::from([first, usize::midpoint(first, last), last]);
    let choices: BTreeSet<BTreeSet<usize>> =
        (0..13).flat_map(|first| (first..13).map(move |last| seats(first, last))).collect();
    choices.into_iter().map(|seats| slots(&seats.into_iter().collect::<Vec<usize>>())).collect()
}

pub async fn takes_preventing_orphans(bench: SpeedBench) {
    for chart in [small_chart(), accessible_chart()] {
        for taken in [vec![], vec![1], vec![2, 6], vec![0, 5, 9, 12]] {
            let performance = bench.occupied(|seat| taken.contains(&seat)).await;
            for choice in choices() {
                assert_taken_without_orphans(&bench, performance, &chart, &choice).await;
            }
        }
    }
}

/// Checks that the store refuses these seats as the domain does, or holds them and holds them again; and then releases them.
async fn assert_taken_without_orphans(
    bench: &SpeedBench,
    performance: PerformanceId,
    chart: &SeatChart,
    choice: &[Slot],
) {
    let (owner, orphans) = (id(), Orphans::prevent(chart, choice));
    let before = bench.seats(performance).await.expect("loaded");
    let take = |until| bench.seat_locks.take(performance, choice, orphans.clone(), lock_terms(owner, until));
    let taking = take(at_secs(60)).await;
    let is_taken = |slot: &Slot| before.statuses[slot.0 as usize] != Some(SeatStatus::Free);
    let taken: Vec<Slot> = choice.iter().copied().filter(is_taken).collect();
    let alone = orphans.left_by(&before.statuses, choice);
    let now = bench.seats(performance).await.expect("loaded");
    if !taken.is_empty() {
        assert_eq!(refused(taking), TakeRefusal::Taken { slots: taken, version: now.version });
        assert_eq!(now.statuses, before.statuses);
    } else if !alone.is_empty() {
        assert!(alone.iter().all(|slot| chart.seat_at(*slot).is_some_and(|seat| !seat.accessible)), "{alone:?}");
        assert_eq!(refused(taking), TakeRefusal::WouldOrphan { slots: alone }, "{choice:?}");
        assert_eq!(now.statuses, before.statuses);
    } else {
        let version = taking.expect("free seats without an orphan");
        let again = take(at_secs(90)).await;
        assert_eq!(again.expect("the seats are the owner's"), version);
        bench.release_seats(performance, choice, owner).await;
    }
}
