//! Loading locks that many callers find missing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use encore_domain::booking::Claim;
use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::seat_state::StockAt;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ports::{
    LockTerms, MockCatalog, MockClock, MockReservations, MockSeatChanges, MockSeatLocks, TakeRefusal,
};
use encore_port_tests::fixtures;
use encore_seat_map::contexts::{PerformanceContext, PerformanceContexts};
use encore_seat_map::{SeatMap, SeatMapParts};
use futures::future::join_all;

const CALLERS: usize = 200;

fn context() -> PerformanceContext {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let performance = fixtures::performance(concert.id, venue.id);
    PerformanceContext { performance: Arc::new(performance), concert: Arc::new(concert), venue: Arc::new(venue) }
}

fn map(locks: MockSeatLocks, reservations: MockReservations) -> SeatMap {
    let mut clock = MockClock::new();
    clock.expect_now().returning(fixtures::start);
    let contexts = PerformanceContexts::new(Arc::new(MockCatalog::new()));
    SeatMap::new(SeatMapParts {
        locks: Arc::new(locks),
        changes: Arc::new(MockSeatChanges::new()),
        reservations: Arc::new(reservations),
        contexts,
        clock: Arc::new(clock),
    })
}

fn terms() -> LockTerms {
    fixtures::lock_terms(fixtures::id(), fixtures::at_secs(60))
}

/// Many callers take the same seat concurrently. Returns how many may continue with the claims.
async fn take_concurrently(map: &SeatMap, context: &PerformanceContext) -> usize {
    let takes = (0..CALLERS).map(|_| map.take(context, &[Slot(0)], Orphans::Allow, terms()));
    join_all(takes).await.into_iter().flatten().count()
}

#[tokio::test]
async fn concurrent_callers_load_the_locks_once() {
    let loaded = Arc::<AtomicUsize>::default();
    let mut locks = MockSeatLocks::new();
    let ready = Arc::clone(&loaded);
    locks.expect_take().returning(move |_, _, _, _| {
        if ready.load(Ordering::SeqCst) == 0 { Err(PortError::Refused(TakeRefusal::NotLoaded)) } else { Ok(1) }
    });
    locks.expect_may_load().times(1).returning(|_, _, _| Ok(true));
    let loading = Arc::clone(&loaded);
    locks.expect_load().times(1).returning(move |_, _, _, _| {
        loading.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let mut reservations = MockReservations::new();
    reservations.expect_claims().times(2).returning(|_| Ok(vec![]));
    assert_eq!(take_concurrently(&map(locks, reservations), &context()).await, CALLERS);
    assert_eq!(loaded.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn claims_that_change_during_a_load_are_settled_after_it() {
    let owner = fixtures::id();
    let claim = Claim::held(Slot(3), owner, fixtures::fan_of(owner), fixtures::at_secs(60));
    let mut locks = MockSeatLocks::new();
    locks.expect_take().times(1).returning(|_, _, _, _| Err(PortError::Refused(TakeRefusal::NotLoaded)));
    locks.expect_take().returning(|_, _, _, _| Ok(1));
    locks.expect_may_load().returning(|_, _, _| Ok(true));
    locks.expect_load().returning(|_, _, locks, _| {
        assert!(locks.is_empty());
        Ok(())
    });
    let marked = Arc::new(Mutex::new(Vec::new()));
    let marks = Arc::clone(&marked);
    locks.expect_mark().returning(move |_, locks| {
        marks.lock().expect("no panic").extend(locks.iter().map(|lock| (lock.slot, lock.owner)));
        Ok(None)
    });
    let mut reservations = MockReservations::new();
    reservations.expect_claims().times(1).returning(|_| Ok(vec![]));
    reservations.expect_claims().returning(move |_| Ok(vec![claim]));
    reservations.expect_claims_on().returning(move |_, _| Ok(vec![claim]));
    let (map, context) = (map(locks, reservations), context());
    map.take(&context, &[Slot(0)], Orphans::Allow, terms()).await.expect("locked");
    assert_eq!(*marked.lock().expect("no panic"), [(Slot(3), claim.owner)]);
}

#[tokio::test(start_paused = true)]
async fn while_another_instance_loads_holds_wait_a_second_at_most() {
    for loads in [true, false] {
        let asked = Arc::<AtomicUsize>::default();
        let mut locks = MockSeatLocks::new();
        let seen = Arc::clone(&asked);
        locks.expect_take().returning(move |_, _, _, _| {
            let loaded = loads && seen.load(Ordering::SeqCst) >= 3;
            if loaded { Ok(1) } else { Err(PortError::Refused(TakeRefusal::NotLoaded)) }
        });
        locks.expect_may_load().returning(|_, _, _| Ok(false));
        let seen = Arc::clone(&asked);
        locks.expect_stock().returning(move |_| {
            let asked = seen.fetch_add(1, Ordering::SeqCst) + 1;
            let at = StockAt { version: 1, stock: encore_domain::booking::seat_state::SeatStock::default() };
            Ok(vec![(loads && asked >= 3).then_some(at)])
        });
        let started = tokio::time::Instant::now();
        assert_eq!(take_concurrently(&map(locks, MockReservations::new()), &context()).await, CALLERS);
        assert!(started.elapsed() <= std::time::Duration::from_millis(1_100), "{:?}", started.elapsed());
        assert!(asked.load(Ordering::SeqCst) <= 51, "all callers share one poll");
    }
}

#[tokio::test]
async fn while_the_locks_are_unavailable_the_claims_decide() {
    let mut locks = MockSeatLocks::new();
    locks.expect_take().returning(|_, _, _, _| Err(Unavailable::of("redis").into()));
    assert_eq!(take_concurrently(&map(locks, MockReservations::new()), &context()).await, CALLERS);
}
