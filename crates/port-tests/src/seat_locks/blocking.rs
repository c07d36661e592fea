use encore_domain::booking::seat_state::{SeatState, SeatStatus, SeatStock, StockAt};
use encore_domain::ports::TakeRefusal;

use super::{blocked, lock, search, statuses};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{SMALL_CHART_SEATS, at_secs, id, slots};

/// The state of the small chart with these seats held, sold and blocked.
fn statuses_with(held: &[usize], sold: &[usize], blocked: &[usize]) -> Vec<Option<SeatStatus>> {
    let mut statuses = statuses(held, sold);
    for slot in slots(blocked) {
        statuses[slot.0 as usize] = Some(SeatStatus::Blocked);
    }
    statuses
}

pub async fn keeps_blocked_seats_from_everybody(bench: SpeedBench) {
    let (performance, loaded) = (bench.loaded().await, id());
    let holder = bench.taken(performance, &[3], at_secs(60)).await;
    bench.mark(performance, &[lock(4, holder, None)]).await;
    let version = bench.version(performance).await;
    // Free, held and sold seats are blocked, as the claims say.
    let locks = [0, 1, 3, 4].map(blocked);
    assert_eq!(bench.mark(performance, &locks).await, Some(version + 1));
    assert_eq!(bench.mark(performance, &locks).await, Some(version + 1), "they are blocked already");
    bench.load(loaded, &locks).await;
    for performance in [performance, loaded] {
        let state = bench.seats(performance).await.expect("loaded");
        assert_eq!(state.statuses, statuses_with(&[], &[], &[0, 1, 3, 4]));
        let all = u32::try_from(SMALL_CHART_SEATS).expect("a small context");
        let at = StockAt { version: state.version, stock: SeatStock { free: all - 4, held: 0 } };
        assert_eq!(bench.stock(&[performance]).await, [Some(at)]);
        assert_eq!(bench.overdue(performance, at_secs(1_000_000), 100).await, []);
        let holders = bench.seat_locks.holders(performance, &slots(&[0, 1, 3, 4])).await;
        assert_eq!(holders.expect("the store answers"), []);

        let refusal = refused(bench.take(performance, &slots(&[1, 2, 3]), holder).await);
        assert_eq!(refusal, TakeRefusal::Taken { slots: slots(&[1, 3]), version: state.version });
        assert_eq!(bench.release_seats(performance, &slots(&[0, 3, 4]), holder).await, Some(state.version));
        assert_eq!(bench.seats(performance).await, Some(state));
        // In the first row, only seat 2 is left before the aisle.
        for _ in 2..SMALL_CHART_SEATS - 2 {
            let one = bench.take_best(performance, &search(1, &[0, 1], &[0, 1], false), id()).await;
            assert!(one.expect("one is left").slots.iter().all(|slot| !slots(&[0, 1, 3, 4]).contains(slot)));
        }
        let state = bench.seats(performance).await.expect("loaded");
        assert!(!state.statuses.contains(&Some(SeatStatus::Free)));
        refused(bench.take_best(performance, &search(1, &[0, 1], &[0, 1], true), id()).await);
        assert_eq!(bench.seats(performance).await, Some(state));
    }
}

pub async fn unblocks_only_what_is_blocked(bench: SpeedBench) {
    let performance = bench.loaded().await;
    assert_eq!(bench.seat_locks.unblock(id(), &slots(&[0])).await.expect("the store answers"), None);
    let holder = bench.taken(performance, &[3], at_secs(60)).await;
    bench.mark(performance, &[blocked(0), blocked(1), blocked(2), lock(4, holder, None)]).await;
    let version = bench.version(performance).await;

    let unblock =
        async |seats: &[usize]| bench.seat_locks.unblock(performance, &slots(seats)).await.expect("the store answers");
    assert_eq!(unblock(&[3, 4, 5]).await, Some(version), "none of them is blocked");
    assert_eq!(unblock(&[0, 2, 3, 4, 5]).await, Some(version + 1));
    let state = SeatState { statuses: statuses_with(&[3], &[4], &[1]), version: version + 1 };
    assert_eq!(bench.seats(performance).await.as_ref(), Some(&state));
    assert_eq!(bench.stock(&[performance]).await, [Some(StockAt { version: state.version, stock: state.stock() })]);
    bench.take(performance, &slots(&[0, 2]), id()).await.expect("free again");
    // A seat that was blocked and that a fan has claimed since.
    bench.mark(performance, &[lock(1, holder, Some(at_secs(60)))]).await;
    bench.release_seats(performance, &slots(&[1, 3]), holder).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses_with(&[0, 2], &[4], &[]));
}
