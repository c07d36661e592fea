#![doc = include_str!("../README.md")]

mod progress;

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, error};

use crate::progress::{Progress, Turn};

/// How many runs of prompt performances have a permit at once. Each waits for a reply of a store most of its time.
pub const AT_ONCE: usize = 256;
/// How many runs of slow performances there are at once, those aside that have just turned slow.
pub const SLOW_AT_ONCE: usize = 32;
/// A run that takes longer is slow. A healthy one takes a few milliseconds.
pub const PROMPT_WITHIN: Duration = Duration::from_millis(500);
/// How long a performance rests after a slow run that failed.
pub const REST: Duration = Duration::from_secs(1);

/// The outcome of a run that ended, or the payload of its panic.
type Ended<E> = Result<Result<(), E>, Box<dyn Any + Send>>;

/// Runs the steps of one worker. Clones share everything.
#[derive(Clone)]
pub struct Bulkhead {
    progress: Arc<Progress>,
    deadline: Duration,
    prompt: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Bulkhead {
    /// The bulkhead of the worker of this name. A run is dropped after `deadline`.
    pub fn new(worker: &'static str, deadline: Duration) -> Self {
        Self {
            progress: Arc::new(Progress::new(worker)),
            deadline,
            prompt: Arc::new(Semaphore::new(AT_ONCE)),
            slow: Arc::new(Semaphore::new(SLOW_AT_ONCE)),
        }
    }

    /// Runs `work` for each performance whose turn it is, and waits for those that are prompt. Each performance is given once.
    ///
    /// # Panics
    /// If a run that it waits for panics; the other runs go on.
    pub async fn run<T, E, F>(
        &self,
        performances: impl IntoIterator<Item = (PerformanceId, T)>,
        work: impl Fn(T) -> F,
    ) -> Result<(), E>
    where
        E: Display + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let round = self.progress.round(performances, Instant::now());
        let mut runs = Vec::with_capacity(round.prompt.len());
        for (turn, item) in round.prompt {
            let (ended, end) = oneshot::channel();
            tokio::spawn(self.clone().run_prompt(turn, work(item), ended));
            runs.push(end);
        }
        for (turn, item) in round.slow {
            // Without a permit its turn is over, and another round gives it the next one.
            if let Ok(permit) = Arc::clone(&self.slow).try_acquire_owned() {
                tokio::spawn(self.clone().run_slow(turn, work(item), permit));
            }
        }
        let (mut outcome, mut panicked) = (Ok(()), None);
        for run in runs {
            match run.await {
                Ok(Ok(ended)) => outcome = outcome.and(ended),
                Ok(Err(panic)) => panicked = Some(panic),
                // It has turned slow.
                Err(_) => {}
            }
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
        outcome
    }

    async fn run_prompt<E, F>(self, turn: Turn, work: F, ended: oneshot::Sender<Ended<E>>)
    where
        E: Display,
        F: Future<Output = Result<(), E>>,
    {
        let Ok(permit) = Arc::clone(&self.prompt).acquire_owned().await else { return };
        let deadline = Instant::now() + self.deadline;
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        if let Ok(outcome) = timeout(PROMPT_WITHIN, &mut work).await {
            // Whoever waits may look at once whether anything of the run is still in use.
            drop(work);
            turn.end_promptly();
            let _nobody_waits = ended.send(outcome);
            return;
        }
        turn.turn_slow();
        drop((permit, ended));
        let outcome = timeout_at(deadline, work).await;
        let succeeded = succeeded(&turn, outcome.ok());
        turn.end_slowly(succeeded, Instant::now());
    }

    async fn run_slow<E, F>(self, turn: Turn, work: F, _permit: OwnedSemaphorePermit)
    where
        E: Display,
        F: Future<Output = Result<(), E>>,
    {
        let begun = Instant::now();
        let outcome = timeout(self.deadline, AssertUnwindSafe(work).catch_unwind()).await;
        let took = begun.elapsed();
        let succeeded = succeeded(&turn, outcome.ok());
        if took <= PROMPT_WITHIN {
            turn.end_promptly();
        } else {
            turn.end_slowly(succeeded, Instant::now());
        }
    }
}

/// Whether a run that nobody waits for succeeded. `ended` is none if it was dropped at its deadline.
fn succeeded<E: Display>(turn: &Turn, ended: Option<Ended<E>>) -> bool {
    let (worker, performance) = (turn.worker(), turn.performance);
    match ended {
        Some(Ok(Ok(()))) => return true,
        Some(Ok(Err(error))) => debug!(worker, %performance, %error, "slow run failed"),
        Some(Err(_)) => error!(alarm = "worker_panicked", worker, %performance, "slow run panicked"),
        None => debug!(worker, %performance, "slow run dropped at its deadline"),
    }
    false
}
