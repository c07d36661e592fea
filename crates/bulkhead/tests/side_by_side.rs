//! A store that hangs for some performances, and the runs for the others.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_bulkhead::{AT_ONCE, Bulkhead, PROMPT_WITHIN, REST, SLOW_AT_ONCE};
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use futures::FutureExt;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const ROUND_EVERY: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(10);
/// How long the client of the store waits for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// A store that answers after some milliseconds, and for some performances not at all.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hung: HashSet<PerformanceId>,
    /// How many calls of a performance have begun.
    calls: HashMap<PerformanceId, usize>,
    succeeded: HashMap<PerformanceId, usize>,
    under_way: HashMap<PerformanceId, usize>,
    most_per_performance: usize,
    most: usize,
}

/// A call under way.
struct Call(Store, PerformanceId);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.state(|state| *state.under_way.entry(self.1).or_default() -= 1);
    }
}

impl Store {
    fn state<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.0.lock().expect("no panic"))
    }

    async fn call(self, performance: PerformanceId) -> Result<(), Unavailable> {
        self.state(|state| {
            *state.calls.entry(performance).or_default() += 1;
            let under_way = state.under_way.entry(performance).or_default();
            *under_way += 1;
            state.most_per_performance = state.most_per_performance.max(*under_way);
            state.most = state.most.max(state.under_way.values().sum());
        });
        let _call = Call(self.clone(), performance);
        sleep(Duration::from_millis(5)).await;
        if self.state(|state| state.hung.contains(&performance)) {
            sleep(REPLY_TIMEOUT).await;
            return Err(Unavailable::of("the store"));
        }
        self.state(|state| *state.succeeded.entry(performance).or_default() += 1);
        Ok(())
    }

    fn hang(&self, performances: &[PerformanceId]) {
        self.state(|state| state.hung.extend(performances));
    }

    fn succeeded(&self, performance: PerformanceId) -> usize {
        self.state(|state| state.succeeded.get(&performance).copied().unwrap_or_default())
    }
}

fn performances(numbers: std::ops::Range<u128>) -> Vec<PerformanceId> {
    numbers.map(|number| PerformanceId(Uuid::from_u128(number))).collect()
}

async fn round(bulkhead: &Bulkhead, store: &Store, performances: &[PerformanceId]) -> Result<(), Unavailable> {
    let items = performances.iter().map(|performance| (*performance, *performance));
    bulkhead.run(items, |performance| store.clone().call(performance)).await
}

/// Rounds as a worker makes them, for a time.
async fn rounds(bulkhead: &Bulkhead, store: &Store, performances: &[PerformanceId], time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let _logged = round(bulkhead, store, performances).await;
        sleep(ROUND_EVERY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn performances_that_hang_delay_no_other() {
    let (bulkhead, store, all) = (Bulkhead::new("test", DEADLINE), Store::default(), performances(0..1_000));
    let (hung, healthy) = all.split_at(900);
    store.hang(hung);

    let alone = Store::default();
    rounds(&Bulkhead::new("test", DEADLINE), &alone, healthy, Duration::from_mins(1)).await;

    rounds(&bulkhead, &store, &all, Duration::from_secs(5)).await;
    let before = store.succeeded(healthy[0]);
    rounds(&bulkhead, &store, &all, Duration::from_mins(1)).await;

    for performance in healthy {
        assert_eq!(store.succeeded(*performance) - before, alone.succeeded(*performance), "as many turns as alone");
    }
    store.state(|state| {
        assert_eq!(state.most_per_performance, 1, "no performance runs twice at once");
        for performance in hung {
            assert!(state.calls[performance] > 1, "each that hangs is tried again");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_number_of_runs_at_once_is_bounded() {
    let (bulkhead, store, all) = (Bulkhead::new("test", DEADLINE), Store::default(), performances(0..2_000));
    round(&bulkhead, &store, &all).await.expect("all succeed");
    assert_eq!(store.state(|state| state.most), AT_ONCE);

    store.hang(&all);
    rounds(&bulkhead, &store, &all, Duration::from_secs(10)).await;
    store.state(|state| state.most = 0);
    rounds(&bulkhead, &store, &all, Duration::from_mins(1)).await;
    assert_eq!(store.state(|state| state.most), SLOW_AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn a_performance_that_answers_again_returns_to_the_others() {
    let (bulkhead, store, all) = (Bulkhead::new("test", DEADLINE), Store::default(), performances(0..2));
    store.hang(&all[..1]);
    rounds(&bulkhead, &store, &all, Duration::from_secs(30)).await;
    assert_eq!(store.succeeded(all[0]), 0);
    store.state(|state| state.hung.clear());
    rounds(&bulkhead, &store, &all, REPLY_TIMEOUT + REST * 2).await;
    assert!(store.succeeded(all[0]) > 0);

    let before = all.iter().map(|performance| store.succeeded(*performance)).collect::<Vec<_>>();
    rounds(&bulkhead, &store, &all, Duration::from_secs(10)).await;
    let turns = |index: usize| store.succeeded(all[index]) - before[index];
    assert_eq!(turns(0), turns(1), "both have a turn in every round");
}

#[tokio::test(start_paused = true)]
async fn a_run_is_dropped_at_its_deadline() {
    let (bulkhead, performance) = (Bulkhead::new("test", DEADLINE), performances(0..1));
    let (begun, held) = (Instant::now(), Arc::new(()));
    let hang = |()| {
        let held = Arc::clone(&held);
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, Unavailable>(())
        }
    };
    bulkhead.run([(performance[0], ())], hang).await.expect("nobody waits for it");
    assert!(begun.elapsed() >= PROMPT_WITHIN && begun.elapsed() < PROMPT_WITHIN + ROUND_EVERY);
    while Arc::strong_count(&held) > 1 {
        sleep(Duration::from_millis(10)).await;
    }
    let dropped_after = begun.elapsed();
    assert!(dropped_after >= DEADLINE && dropped_after < DEADLINE + REST, "{dropped_after:?}");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_one_performance_does_not_stop_the_others() {
    let (bulkhead, store, all) = (Bulkhead::new("test", DEADLINE), Store::default(), performances(0..3));
    let failing = all[0];
    let work = |performance| {
        let call = store.clone().call(performance);
        async move { if performance == failing { Err(Unavailable::of("the store")) } else { call.await } }
    };
    for _ in 0..3 {
        let outcome = bulkhead.run(all.iter().map(|performance| (*performance, *performance)), work).await;
        assert!(outcome.is_err());
    }
    assert_eq!(all.iter().map(|performance| store.succeeded(*performance)).collect::<Vec<_>>(), [0, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_one_performance_stops_no_other_and_is_passed_on() {
    let (bulkhead, store, all) = (Bulkhead::new("test", DEADLINE), Store::default(), performances(0..3));
    let broken = all[0];
    let work = |performance| {
        let call = store.clone().call(performance);
        async move { if performance == broken { panic!("a bug") } else { call.await } }
    };
    for _ in 0..2 {
        let items = all.iter().map(|performance| (*performance, *performance));
        let outcome = std::panic::AssertUnwindSafe(bulkhead.run(items, work)).catch_unwind().await;
        assert!(outcome.is_err());
    }
    assert_eq!(all.iter().map(|performance| store.succeeded(*performance)).collect::<Vec<_>>(), [0, 2, 2]);
}
