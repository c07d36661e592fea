use std::sync::Arc;

use encore_domain::ports::{ChooseRefusal, TakeRefusal};

use super::{FIRST_VERSION, HUNDRED, lock, search, statuses};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{at_secs, id, slots};

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
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[1, 2], &[25]));

    assert_eq!(bench.overdue(performance, at_secs(60), 1).await.len(), 1);
    bench.release_seats(performance, &slots(&[1, 25]), owner).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[2], &[25]));
    assert_eq!(bench.overdue(performance, at_secs(60), 100).await, [locks[1]]);
}

pub async fn loads_at_the_given_version(bench: SpeedBench) {
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
    assert!(may_load(10, 20).await, "the permission has expired");
    assert!(!may_load(11, 21).await);
    bench.load(performance, &[]).await;
    assert!(may_load(11, 21).await, "a load ends the permission");
}
