//! Which performances run, and which are slow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::REST;

/// A slow performance that no round was given for this long is forgotten: its sale is over.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// The performances of one worker that run or are slow.
pub(crate) struct Progress {
    worker: &'static str,
    /// A performance that is prompt and does not run has no entry.
    known: Mutex<HashMap<PerformanceId, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    running: bool,
    slow: bool,
    /// When its next turn may begin.
    next_at: Instant,
    /// When a round was given it last.
    given_at: Instant,
}

/// The turns of one round.
pub(crate) struct Round<T> {
    pub(crate) prompt: Vec<(Turn, T)>,
    /// Those that have waited longest are first.
    pub(crate) slow: Vec<(Turn, T)>,
}

/// The turn of a performance. The performance gets no other until this is dropped.
pub(crate) struct Turn {
    progress: Arc<Progress>,
    pub(crate) performance: PerformanceId,
    end: End,
}

/// How a turn ends.
#[derive(Clone, Copy)]
enum End {
    /// Nothing ran, or the run was aborted.
    Unused,
    Prompt,
    /// The next turn may begin at this time.
    Slow(Instant),
}

impl Progress {
    pub(crate) fn new(worker: &'static str) -> Self {
        Self { worker, known: Mutex::default() }
    }

    /// Gives a turn to each of these performances that neither runs nor rests.
    pub(crate) fn round<T>(
        self: &Arc<Self>,
        performances: impl IntoIterator<Item = (PerformanceId, T)>,
        now: Instant,
    ) -> Round<T> {
        let mut round = Round { prompt: Vec::new(), slow: Vec::new() };
        let mut waited = Vec::new();
        let mut known = self.lock();
        for (performance, item) in performances {
            let turn = || Turn { progress: Arc::clone(self), performance, end: End::Unused };
            let Some(entry) = known.get_mut(&performance) else {
                known.insert(performance, Known { running: true, slow: false, next_at: now, given_at: now });
                round.prompt.push((turn(), item));
                continue;
            };
            entry.given_at = now;
            if !entry.running && entry.next_at <= now {
                entry.running = true;
                waited.push((entry.next_at, turn(), item));
            }
        }
        known.retain(|_, entry| entry.running || now < entry.given_at + FORGET_AFTER);
        waited.sort_by_key(|(next_at, ..)| *next_at);
        round.slow.extend(waited.into_iter().map(|(_, turn, item)| (turn, item)));
        round
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PerformanceId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub(crate) fn worker(&self) -> &'static str {
        self.progress.worker
    }

    /// The run takes longer than a prompt one.
    pub(crate) fn turn_slow(&self) {
        let (worker, performance) = (self.worker(), self.performance);
        let mut known = self.progress.lock();
        let first = !known.values().any(|entry| entry.slow);
        if let Some(entry) = known.get_mut(&performance) {
            entry.slow = true;
        }
        drop(known);
        if first {
            warn!(worker, %performance, "worker step is slow for a performance; it runs apart from the others");
        } else {
            debug!(worker, %performance, "worker step is slow for another performance");
        }
    }

    /// The run has ended in time.
    pub(crate) fn end_promptly(mut self) {
        self.end = End::Prompt;
    }

    /// The run has ended, and took longer than a prompt one.
    pub(crate) fn end_slowly(mut self, succeeded: bool, now: Instant) {
        self.end = End::Slow(if succeeded { now } else { now + REST });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut known = self.progress.lock();
        let Some(entry) = known.get_mut(&self.performance) else { return };
        entry.running = false;
        let was_slow = entry.slow;
        if let End::Slow(next_at) = self.end {
            entry.next_at = next_at;
        } else if matches!(self.end, End::Prompt) || !was_slow {
            known.remove(&self.performance);
        }
        let all_prompt = was_slow && !known.values().any(|entry| entry.slow);
        drop(known);
        if all_prompt {
            info!(worker = self.worker(), "worker step is prompt for all performances again");
        }
    }
}
