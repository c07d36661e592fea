//! The two ways of putting load on: as much as a number of callers can, and as much as was prescribed.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::load::counts::{Counted, Counts};
use crate::load::{Outcome, Paced};
use crate::report::model::{Measurement, TimedFrom};

/// The most calls of a paced load that are under way at once. Who comes when as many are waiting already starts late, and
/// their time counts from when they meant to start.
const IN_FLIGHT_MAX: usize = 50_000;
/// How long calls that are under way when a load is stopped may take to be answered. Those that are not are dropped and
/// count for nothing: how long they would have taken is not known.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// What all load of a run has in common.
#[derive(Clone, Debug)]
pub struct Load {
    /// Ends every load early: new calls are no longer made, and those under way have two seconds.
    pub stop: CancellationToken,
}

/// A closed loop: each of a number of callers calls again when the answer is there.
///
/// Its rates are those of the answers that came while new calls were made, so that one straggler does not set them. If the
/// calls ran out before, they are over the time to the last answer. Answers that came later count as outcomes and with
/// their times.
#[derive(Clone, Copy, Debug)]
pub struct Saturated {
    /// How many callers.
    pub in_flight: u64,
    /// How long new calls are made.
    pub lasts: Duration,
    /// How many calls are made at most.
    pub calls_max: u64,
}

impl Load {
    /// Calls in a closed loop, and what is reported of it.
    pub async fn saturate<F>(
        &self,
        load: Saturated,
        (phase, name): (&str, &str),
        call: impl Fn(u64) -> F + Clone + Send + 'static,
    ) -> Measurement
    where
        F: Future<Output = Outcome> + Send,
    {
        self.closed_loop(load, call).await.measurement(phase, name)
    }

    /// Calls in an open loop, and what is reported of it.
    pub async fn pace<F>(&self, load: Paced, (phase, name): (&str, &str), call: impl Fn(u64) -> F) -> Measurement
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.open_loop(load, call).await.measurement(phase, name)
    }

    /// Calls in a closed loop. `call` is given the number of the call, from 0, each once.
    pub async fn closed_loop<F>(&self, load: Saturated, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Counted
    where
        F: Future<Output = Outcome> + Send,
    {
        let begun = Instant::now();
        let ends_at = begun + load.lasts;
        let counts = Arc::new(Counts::new(begun, Some(ends_at), self.stop.clone()));
        let next = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for turn in 0..load.in_flight {
            let (next, call, counts, stop) = (Arc::clone(&next), call.clone(), Arc::clone(&counts), self.stop.clone());
            callers.spawn(async move {
                while Instant::now() < ends_at && !stop.is_cancelled() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.calls_max {
                        break;
                    }
                    let started = Instant::now();
                    let outcome = call(number).await;
                    counts.count(turn, started, outcome);
                }
            });
        }
        let stopped_at = self.last_answers(callers).await;
        counts.counted(None, TimedFrom::Call, stopped_at)
    }

    /// Calls in an open loop. `call` is given the number of the call, from 0, each once.
    pub async fn open_loop<F>(&self, load: Paced, call: impl Fn(u64) -> F) -> Counted
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let begun = Instant::now();
        let ends_at = load.lasts().map(|lasts| begun + lasts);
        let counts = Arc::new(Counts::new(begun, ends_at, self.stop.clone()));
        let mut calls = JoinSet::new();
        for number in 0..load.calls() {
            let intended = begun + load.start(number);
            let starting = async {
                // Timers are coarse: who is due already is not made to wait for one.
                if intended > Instant::now() {
                    sleep_until(intended).await;
                }
                Arc::clone(&places).acquire_owned().await
            };
            let place = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                place = starting => place,
            };
            while let Some(ended) = calls.try_join_next() {
                pass_on(ended);
            }
            let (called, counts) = (call(number), Arc::clone(&counts));
            calls.spawn(async move {
                let outcome = called.await;
                counts.count(number, intended, outcome);
                drop(place);
            });
        }
        let stopped_at = self.last_answers(calls).await;
        counts.counted(load.offered_per_second(), TimedFrom::IntendedStart, stopped_at)
    }

    /// Waits until all have ended, or until [`LAST_ANSWERS`] after the load was stopped; who is not done then is dropped.
    /// Answers when it was stopped, if that was before all had ended.
    async fn last_answers(&self, mut tasks: JoinSet<()>) -> Option<Instant> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = all_ended(&mut tasks) => return None,
        }
        let stopped_at = Instant::now();
        tokio::select! {
            () = all_ended(&mut tasks) => {}
            () = sleep(LAST_ANSWERS) => {
                tasks.abort_all();
                all_ended(&mut tasks).await;
            }
        }
        Some(stopped_at)
    }
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        pass_on(ended);
    }
}

/// What a call panicked with goes on here: a bug of a scenario is not reported as a missing answer of the server.
/// Nothing comes of one that was dropped.
pub fn pass_on<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(done) => Some(done),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

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
        assert_eq!(open.await.successes, 0, "it was stopped before it began");
        assert!(called.load(Ordering::Relaxed));
    }

    /// Stops the load after this long.
    fn stopping_after(load: &Load, after: Duration) {
        let stop = load.stop.clone();
        tokio::spawn(async move {
            sleep(after).await;
            stop.cancel();
        });
    }

    /// A server that answers the first ten after 100 ms each, and nobody after them.
    async fn stalling(number: u64) -> Outcome {
        sleep(Duration::from_millis(100)).await;
        if number < 10 { Outcome::Success } else { pending().await }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_server_does_not_keep_a_stopped_load() {
        let begun = Instant::now();
        let (closed, open) = (load(), load());
        stopping_after(&closed, Duration::from_secs(5));
        stopping_after(&open, Duration::from_secs(5));
        let hour = Duration::from_hours(1);
        let saturated = Saturated { in_flight: 5, lasts: hour, calls_max: u64::MAX };
        let (closed, open) = tokio::join!(
            closed.saturate(saturated, ("saturated", "Call"), stalling),
            open.pace(Paced::steady(10.0, hour, u64::MAX), ("paced", "Call"), stalling),
        );
        assert_eq!(begun.elapsed().as_secs(), 7, "five and the grace");
        for measured in [closed, open] {
            assert_eq!((measured.successes, measured.errors.len()), (10, 0), "who was dropped is not counted");
            assert!((measured.successes_per_second - 2.0).abs() < 0.01, "in five seconds: {measured:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_that_is_behind_hears_that_it_is_to_stop() {
        let load = load();
        let (stop, begun) = (load.stop.clone(), Instant::now());
        let measured = load.pace(Paced::at_once(10_000_000), ("at once", "Call"), move |number| {
            if number == 100 {
                stop.cancel();
            }
            async { Outcome::Success }
        });
        assert_eq!(measured.await.successes, 101);
        assert!(begun.elapsed() < LAST_ANSWERS);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_place_hears_that_it_is_to_stop() {
        let load = load();
        stopping_after(&load, Duration::from_secs(1));
        let users = Paced::at_once(IN_FLIGHT_MAX as u64 + 1);
        let begun = Instant::now();
        assert_eq!(load.pace(users, ("at once", "Call"), |_| pending::<Outcome>()).await.successes, 0);
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_straggler_does_not_set_the_rate() {
        let saturated = Saturated { in_flight: 10, lasts: Duration::from_secs(2), calls_max: u64::MAX };
        let load = load();
        let measured = load.saturate(saturated, ("saturated", "Call"), |number| async move {
            let takes = if number == 0 { Duration::from_mins(1) } else { Duration::from_millis(100) };
            sleep(takes).await;
            Outcome::Success
        });
        let measured = measured.await;
        assert_eq!(measured.successes, 9 * 20 + 1);
        assert!((measured.successes_per_second - 90.0).abs() < 0.5, "{}", measured.successes_per_second);
        assert!((measured.seconds - 60.0).abs() < 0.1);
        assert!(measured.latency.is_some_and(|latency| latency.max > 59_000.0), "but it is one of the answers");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_run_out_are_a_rate_of_the_time_they_took() {
        let saturated = Saturated { in_flight: 10, lasts: Duration::from_mins(1), calls_max: 100 };
        let load = load();
        let measured = load.saturate(saturated, ("saturated", "Call"), |_| async {
            sleep(Duration::from_millis(100)).await;
            Outcome::Success
        });
        let measured = measured.await;
        assert!((measured.answers_per_second - 100.0).abs() < 1.5, "{}", measured.answers_per_second);
    }

    #[tokio::test]
    #[should_panic(expected = "a mistake")]
    async fn a_panic_of_a_closed_loop_is_passed_on() {
        let saturated = Saturated { in_flight: 1, lasts: Duration::from_secs(1), calls_max: 1 };
        load().saturate(saturated, ("saturated", "Call"), async |_| panic!("a mistake")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a mistake")]
    async fn a_panic_of_an_open_loop_is_passed_on() {
        load().pace(Paced::at_once(1), ("at once", "Call"), async |_| panic!("a mistake")).await;
    }
}
