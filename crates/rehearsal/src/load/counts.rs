//! The counts of many callers at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::load::tally::per_second;
use crate::load::{Outcome, Tally};
use crate::report::model::{Measurement, TimedFrom};

/// How many tallies callers share, so that they seldom wait for each other. A tally is about 150 KB, however many calls it
/// counts.
const SHARDS: usize = 8;

/// What became of the calls of a load, counted as they end.
#[derive(Debug)]
pub(super) struct Counts {
    shards: [Mutex<Shard>; SHARDS],
    begun: Instant,
    /// When the load ends; answers that come later do not count for the rate. None if it ends with the last answer.
    ends_at: Option<Instant>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Shard {
    tally: Tally,
    /// Of the successes, those that count for the rate.
    successes_in_time: u64,
    /// Of successes and refusals.
    answers_in_time: u64,
    last_ended_at: Option<Instant>,
}

impl Counts {
    pub(super) fn new(begun: Instant, ends_at: Option<Instant>, stop: CancellationToken) -> Self {
        Self { shards: Default::default(), begun, ends_at, stop }
    }

    /// Counts a call that ends now. `turn` spreads callers over the tallies.
    pub(super) fn count(&self, turn: u64, since: Instant, outcome: Outcome) {
        let now = Instant::now();
        let in_time = self.ends_at.is_none_or(|ends_at| now <= ends_at) && !self.stop.is_cancelled();
        let mut shard = self.shard(turn);
        if in_time {
            shard.successes_in_time += u64::from(outcome == Outcome::Success);
            shard.answers_in_time += u64::from(outcome.is_answer());
        }
        shard.last_ended_at = shard.last_ended_at.max(Some(now));
        shard.tally.count(now.saturating_duration_since(since), outcome);
    }

    /// What is reported. The rates are over the time until the load ended or was stopped, or until the last answer if the
    /// calls ran out before.
    pub(super) fn measurement(
        &self,
        (phase, name): (&str, &str),
        offered_per_second: Option<f64>,
        timed_from: TimedFrom,
        stopped_at: Option<Instant>,
    ) -> Measurement {
        let mut whole = Shard::default();
        for turn in 0..SHARDS as u64 {
            let shard = self.shard(turn);
            whole.tally.merge(&shard.tally);
            whole.successes_in_time += shard.successes_in_time;
            whole.answers_in_time += shard.answers_in_time;
            whole.last_ended_at = whole.last_ended_at.max(shard.last_ended_at);
        }
        let last = whole.last_ended_at.or(stopped_at).unwrap_or_else(Instant::now);
        let until = stopped_at.unwrap_or(last);
        let until = self.ends_at.map_or(until, |ends_at| until.min(ends_at));
        let span = until.saturating_duration_since(self.begun);
        Measurement {
            successes_per_second: per_second(whole.successes_in_time, span),
            answers_per_second: per_second(whole.answers_in_time, span),
            timed_from,
            ..whole.tally.measurement(phase, name, offered_per_second, last.saturating_duration_since(self.begun))
        }
    }

    fn shard(&self, turn: u64) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(turn % SHARDS as u64).unwrap_or(0);
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
