//! The two ways of putting load on: as much as a number of callers can, and as much as was prescribed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::load::tally::per_second;
use crate::load::{Outcome, Tally};
use crate::report::model::Measurement;

/// The most calls of a paced load that are under way at once. Who comes when as many are waiting already starts late, and
/// their time counts from when they meant to start.
const IN_FLIGHT_MAX: usize = 50_000;

/// What all load of a run has in common.
#[derive(Clone, Debug)]
pub struct Load {
    /// Ends every load early.
    pub stop: CancellationToken,
}

/// A closed loop: each of a number of callers calls again when the answer is there.
#[derive(Clone, Copy, Debug)]
pub struct Saturated {
    /// How many callers.
    pub in_flight: u64,
    /// How long new calls are made.
    pub lasts: Duration,
    /// How many calls are made at most.
    pub calls_max: u64,
}

/// An open loop: calls start at their moments, however slow the answers are.
#[derive(Clone, Debug)]
pub struct Paced {
    /// The intended starts, rising.
    pub schedule: Vec<Duration>,
}

impl Paced {
    /// Evenly spaced calls.
    pub fn steady(rate_per_second: f64, lasts: Duration, calls_max: u64) -> Self {
        let gap = Duration::from_secs_f64(1.0 / rate_per_second.max(0.001));
        let starts = std::iter::successors(Some(Duration::ZERO), |at| Some(*at + gap));
        let calls_max = usize::try_from(calls_max).unwrap_or(usize::MAX);
        Self { schedule: starts.take_while(|at| *at < lasts).take(calls_max).collect() }
    }

    /// Everybody in the same instant.
    pub fn at_once(calls: u64) -> Self {
        Self { schedule: (0..calls).map(|_| Duration::ZERO).collect() }
    }

    fn offered_per_second(&self) -> Option<f64> {
        let lasts = self.schedule.last().filter(|last| !last.is_zero())?;
        let gaps = u64::try_from(self.schedule.len() - 1).unwrap_or(u64::MAX);
        Some(per_second(gaps, *lasts))
    }
}

impl Load {
    /// Calls in a closed loop. `call` is given the number of the call, from 0, each once.
    pub async fn saturate<F>(
        &self,
        load: Saturated,
        (phase, name): (&str, &str),
        call: impl Fn(u64) -> F + Clone + Send + 'static,
    ) -> Measurement
    where
        F: Future<Output = Outcome> + Send,
    {
        let begun = Instant::now();
        let ends_at = begun + load.lasts;
        let next = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..load.in_flight {
            let (next, call, stop) = (Arc::clone(&next), call.clone(), self.stop.clone());
            callers.spawn(async move {
                let mut calls = Vec::new();
                while Instant::now() < ends_at && !stop.is_cancelled() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.calls_max {
                        break;
                    }
                    let started = Instant::now();
                    let outcome = call(number).await;
                    calls.push((started.elapsed(), outcome));
                }
                calls
            });
        }
        let mut tally = Tally::default();
        while let Some(calls) = callers.join_next().await {
            for (took, outcome) in calls.unwrap_or_default() {
                tally.count(took, outcome);
            }
        }
        tally.measurement(phase, name, None, begun.elapsed())
    }

    /// Calls in an open loop. `call` is given the number of the call, from 0, each once.
    pub async fn pace<F>(&self, load: Paced, (phase, name): (&str, &str), call: impl Fn(u64) -> F) -> Measurement
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let offered = load.offered_per_second();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for (number, at) in (0..).zip(load.schedule) {
            let intended = begun + at;
            if intended > Instant::now() {
                tokio::select! {
                    () = sleep_until(intended) => {}
                    () = self.stop.cancelled() => break,
                }
            }
            while calls.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let (called, tally) = (call(number), Arc::clone(&tally));
            calls.spawn(async move {
                let outcome = called.await;
                let took = intended.elapsed();
                drop(place);
                tally.lock().unwrap_or_else(PoisonError::into_inner).count(took, outcome);
            });
        }
        while calls.join_next().await.is_some() {}
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.measurement(phase, name, offered, begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use tokio::time::sleep;

    fn load() -> Load {
        Load { stop: CancellationToken::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_counted_by_all_whom_it_kept_waiting() {
        // A server that answers nobody in its first second, and then at once. Ten callers a second come for two seconds.
        let begun = Instant::now();
        let answers_from = begun + Duration::from_secs(1);
        let paced = Paced::steady(10.0, Duration::from_secs(2), u64::MAX);
        let load = load();
        let measured = load.pace(paced, ("paced", "Call"), |_| async move {
            sleep_until(answers_from).await;
            Outcome::Success
        });
        let measured = measured.await;
        let latency = measured.latency.expect("answers");
        assert_eq!(measured.successes, 20);
        assert!((latency.max - 1_000.0).abs() < 2.0, "the first waited for a second: {}", latency.max);
        assert!((latency.p90 - 800.0).abs() < 2.0, "and the third for 0.8 of it: {}", latency.p90);
        assert!(latency.p50 <= 100.0, "half came when all was well: {}", latency.p50);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_a_closed_loop_take_turns_and_each_number_comes_once() {
        let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
        let saturated = Saturated { in_flight: 4, lasts: Duration::from_secs(1), calls_max: u64::MAX };
        let numbers = Arc::clone(&seen);
        let load = load();
        let measured = load.saturate(saturated, ("saturated", "Call"), move |number| {
            let numbers = Arc::clone(&numbers);
            async move {
                numbers.lock().expect("nobody panicked").push(number);
                sleep(Duration::from_millis(100)).await;
                Outcome::Success
            }
        });
        let measured = measured.await;
        assert_eq!(measured.successes, 40, "four at a time, ten times each");
        assert!((measured.successes_per_second - 40.0).abs() < 0.5);
        let mut numbers = seen.lock().expect("nobody panicked").clone();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<u64>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_ends_when_told_to() {
        let load = load();
        let (stop, called) = (load.stop.clone(), Arc::new(AtomicBool::new(false)));
        tokio::spawn(async move {
            sleep(Duration::from_millis(250)).await;
            stop.cancel();
        });
        let flag = Arc::clone(&called);
        let saturated = Saturated { in_flight: 1, lasts: Duration::from_hours(1), calls_max: u64::MAX };
        let closed = load.saturate(saturated, ("saturated", "Call"), move |_| {
            flag.store(true, Ordering::Relaxed);
            async {
                sleep(Duration::from_millis(100)).await;
                Outcome::Success
            }
        });
        assert_eq!(closed.await.successes, 3);
        let open = load
            .pace(Paced::steady(1.0, Duration::from_hours(1), 10), ("paced", "Call"), |_| async { Outcome::Success });
        assert_eq!(open.await.successes, 1, "only the one that was due when it began");
        assert!(called.load(Ordering::Relaxed));
    }

    #[test]
    fn a_steady_pace_offers_its_rate() {
        let paced = Paced::steady(200.0, Duration::from_secs(2), u64::MAX);
        assert_eq!(paced.schedule.len(), 400);
        assert!(paced.offered_per_second().is_some_and(|rate| (rate - 200.0).abs() < 1e-6));
        assert_eq!(Paced::steady(200.0, Duration::from_secs(2), 7).schedule.len(), 7);
        assert_eq!(Paced::at_once(3).offered_per_second(), None);
    }
}
