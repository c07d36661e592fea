//! The cases of [`SeatChanges`](encore_domain::ports::SeatChanges).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::seat_state::{CHANGE_SEATS_MAX, SeatChange, SeatLock, SeatNews, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{LockTerms, SeatListener};

use crate::SpeedBench;
use crate::fixtures::{at_secs, fan_of, id, lock_terms, slots};
use crate::seat_locks::lock;

/// Stamps the cases of the port `SeatChanges`.
#[macro_export]
macro_rules! seat_changes {
    ($($with:tt)+) => {
        $crate::suite! { seat_changes [
            tells_changes_in_order,
            tells_from_the_moment_of_listening,
            tells_nothing_where_nothing_changed,
            a_load_is_reported_as_missed,
            a_large_change_is_reported_as_missed,
            a_slow_listener_is_sent_missed,
            tells_everybody_who_listens,
            listens_before_anything_is_loaded,
            hears_of_its_performance_alone,
        ] $($with)+ }
    };
}

/// The deadline for a message. It is far longer than any delivery takes, so a message that misses it was not sent.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(20);
/// More changes than any store buffers for a slow listener.
const MANY_CHANGES: usize = 2_000;

impl SpeedBench {
    async fn listen(&self, performance: PerformanceId) -> Box<dyn SeatListener> {
        self.seat_changes.listen(performance).await.expect("the store answers")
    }

    /// A listener that has received all earlier messages. A seat is taken and released, and the listener reads up to
    /// the release.
    async fn listen_anew(&self, performance: PerformanceId) -> Box<dyn SeatListener> {
        let mut listener = self.listen(performance).await;
        let owner = self.taken(performance, &[0], at_secs(60)).await;
        self.release_seats(performance, &slots(&[0]), owner).await;
        let last = self.version(performance).await;
        until(&mut listener, last).await;
        listener
    }
}

async fn next(listener: &mut Box<dyn SeatListener>) -> SeatNews {
    tokio::time::timeout(DELIVERY_DEADLINE, listener.next()).await.expect("a message before the deadline")
}

/// All messages up to the change with this version.
async fn until(listener: &mut Box<dyn SeatListener>, last: u64) -> Vec<SeatNews> {
    let mut heard = Vec::new();
    loop {
        let news = next(listener).await;
        let done = matches!(&news, SeatNews::Changed(change) if change.version == last);
        heard.push(news);
        if done {
            return heard;
        }
    }
}

fn changed(version: u64, seats: &[(usize, SeatStatus)]) -> SeatNews {
    let seats = seats.iter().map(|(seat, byte)| (slots(&[*seat])[0], *byte)).collect();
    SeatNews::Changed(SeatChange { version, seats })
}

pub async fn tells_changes_in_order(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let mut listener = bench.listen_anew(performance).await;
    let first = bench.version(performance).await;
    let owner = bench.taken(performance, &[3, 4, 20], at_secs(60)).await;
    bench.mark(performance, &[lock(4, owner, None), lock(9, owner, Some(at_secs(60)))]).await;
    bench.release_seats(performance, &slots(&[3, 4, 20]), owner).await;

    assert_eq!(
        next(&mut listener).await,
        changed(first + 1, &[(3, SeatStatus::Held), (4, SeatStatus::Held), (20, SeatStatus::Held)])
    );
    assert_eq!(next(&mut listener).await, changed(first + 2, &[(4, SeatStatus::Sold), (9, SeatStatus::Held)]));
    assert_eq!(next(&mut listener).await, changed(first + 3, &[(3, SeatStatus::Free), (20, SeatStatus::Free)]));
}

pub async fn tells_from_the_moment_of_listening(bench: SpeedBench) {
    let performance = bench.loaded().await;
    bench.taken(performance, &[0], at_secs(60)).await;
    let mut listener = bench.listen(performance).await;
    let version = bench.version(performance).await;
    bench.taken(performance, &[1], at_secs(60)).await;
    let mut heard = until(&mut listener, version + 1).await;
    assert_eq!(heard.pop(), Some(changed(version + 1, &[(1, SeatStatus::Held)])));
    let from_before = |news: &SeatNews| match news {
        SeatNews::Changed(change) => change.version <= version,
        SeatNews::Missed => true,
    };
    assert!(heard.iter().all(from_before), "{heard:?}");
}

pub async fn tells_nothing_where_nothing_changed(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let mut listener = bench.listen_anew(performance).await;
    let owner = bench.taken(performance, &[0, 1], at_secs(60)).await;
    let version = bench.version(performance).await;
    assert_eq!(next(&mut listener).await, changed(version, &[(0, SeatStatus::Held), (1, SeatStatus::Held)]));

    let taken =
        bench.seat_locks.take(performance, &slots(&[1, 2]), Orphans::Allow, lock_terms(id(), at_secs(60))).await;
    taken.expect_err("one seat is held");
    let again =
        bench.seat_locks.take(performance, &slots(&[0, 1]), Orphans::Allow, lock_terms(owner, at_secs(90))).await;
    again.expect("the seats are the owner's");
    let none = LockTerms { seats_per_fan: 0, ..lock_terms(id(), at_secs(60)) };
    let over = bench.seat_locks.take(performance, &slots(&[3]), Orphans::Allow, none).await;
    over.expect_err("over the limit");
    bench.release_seats(performance, &slots(&[0, 5]), id()).await;
    bench.mark(performance, &[lock(0, owner, Some(at_secs(120)))]).await;
    bench.load(performance, &[lock(7, owner, None)]).await;

    bench.taken(performance, &[2], at_secs(60)).await;
    assert_eq!(next(&mut listener).await, changed(version + 1, &[(2, SeatStatus::Held)]));
}

pub async fn a_load_is_reported_as_missed(bench: SpeedBench) {
    let performance = id();
    let mut listener = bench.listen(performance).await;
    bench.load(performance, &[lock(0, id(), None)]).await;
    assert_eq!(next(&mut listener).await, SeatNews::Missed);
}

pub async fn a_large_change_is_reported_as_missed(bench: SpeedBench) {
    let performance = id();
    let context = [Some(SeatStatus::Free); CHANGE_SEATS_MAX * 2 + 1];
    bench.seat_locks.load(performance, &context, &[], 1).await.expect("the store answers");
    let mut listener = bench.listen_anew(performance).await;
    let version = bench.version(performance).await + 1;
    let owner: ReservationId = id();
    let sold = |slot| SeatLock::sold(Slot(slot), owner, fan_of(owner));
    let most = u32::try_from(CHANGE_SEATS_MAX).expect("a small number");

    let locks: Vec<SeatLock> = (0..most).map(sold).collect();
    bench.mark(performance, &locks).await;
    let seats = (0..most).map(|slot| (Slot(slot), SeatStatus::Sold)).collect();
    assert_eq!(next(&mut listener).await, SeatNews::Changed(SeatChange { version, seats }));

    let locks: Vec<SeatLock> = (most..=most * 2).map(sold).collect();
    bench.mark(performance, &locks).await;
    assert_eq!(next(&mut listener).await, SeatNews::Missed);
}

pub async fn a_slow_listener_is_sent_missed(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let (mut slow, mut fast) = (bench.listen_anew(performance).await, bench.listen_anew(performance).await);
    let first = bench.version(performance).await;
    let last = first + u64::try_from(MANY_CHANGES).expect("a small number");
    let changes = async {
        for _ in 0..MANY_CHANGES / 2 {
            let owner = bench.taken(performance, &[0], at_secs(60)).await;
            bench.release_seats(performance, &slots(&[0]), owner).await;
        }
    };
    // When the fast listener has received the last change, the slow one is behind by all of them.
    futures::join!(changes, until(&mut fast, last));

    let heard = until(&mut slow, last).await;
    assert!(heard.contains(&SeatNews::Missed), "{} messages", heard.len());
    assert!(heard.len() < MANY_CHANGES, "{} messages", heard.len());
    bench.taken(performance, &[5], at_secs(60)).await;
    assert_eq!(next(&mut slow).await, changed(last + 1, &[(5, SeatStatus::Held)]));
}

pub async fn tells_everybody_who_listens(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let mut one = bench.listen(performance).await;
    let mut other = bench.listen_anew(performance).await;
    let version = bench.version(performance).await;
    until(&mut one, version).await;
    bench.taken(performance, &[0], at_secs(60)).await;
    let news = changed(version + 1, &[(0, SeatStatus::Held)]);
    assert_eq!((next(&mut one).await, next(&mut other).await), (news.clone(), news));

    drop(one);
    bench.taken(performance, &[1], at_secs(60)).await;
    assert_eq!(next(&mut other).await, changed(version + 2, &[(1, SeatStatus::Held)]));
}

pub async fn listens_before_anything_is_loaded(bench: SpeedBench) {
    let performance = id();
    let mut listener = bench.listen(performance).await;
    assert_eq!(bench.seats(performance).await, None, "listening loads nothing");
    bench.load(performance, &[]).await;
    assert_eq!(next(&mut listener).await, SeatNews::Missed);
    let version = bench.version(performance).await;
    bench.taken(performance, &[0], at_secs(60)).await;
    assert_eq!(next(&mut listener).await, changed(version + 1, &[(0, SeatStatus::Held)]));
}

pub async fn hears_of_its_performance_alone(bench: SpeedBench) {
    let (evening, matinee) = (bench.loaded().await, bench.loaded().await);
    let mut listener = bench.listen_anew(evening).await;
    let _other = bench.listen(matinee).await;
    bench.taken(matinee, &[0], at_secs(60)).await;
    let version = bench.version(evening).await;
    bench.taken(evening, &[1], at_secs(60)).await;
    assert_eq!(next(&mut listener).await, changed(version + 1, &[(1, SeatStatus::Held)]));
}
