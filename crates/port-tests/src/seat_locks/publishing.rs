use encore_domain::booking::seat_state::{SeatStock, StockAt};

use super::{FIRST_VERSION, lock, statuses};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{SMALL_CHART_SEATS, at_secs, id, just_before, slots};

pub async fn counts_its_stock(bench: SpeedBench) {
    let (first, unknown, second) = (bench.loaded().await, id(), bench.loaded().await);
    let all = u32::try_from(SMALL_CHART_SEATS).expect("a small chart");
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
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[0, 1, 3], &[4, 6]), "telling frees nothing");
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
    assert_eq!(bench.seat_statuses(matinee).await, statuses(&[1, 2], &[]));
    assert_eq!(bench.seat_statuses(evening).await, statuses(&[], &[9]));
}
