//! The counts of many callers at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::load::tally::per_second;
use crate::load::{Outcome, Tally};
use crate::report::model::{Measurement, Rate, TimedFrom};

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

    /// What was counted. The rates are over the time until the load ended or was stopped, or until the last answer if the calls ran out
    /// before.
    pub(super) fn counted(
        &self,
        offered_per_second: Option<f64>,
        timed_from: TimedFrom,
        stopped_at: Option<Instant>,
    ) -> Counted {
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
        Counted {
            tally: whole.tally,
            successes_in_time: whole.successes_in_time,
            answers_in_time: whole.answers_in_time,
            rated: until.saturating_duration_since(self.begun),
            lasted: last.saturating_duration_since(self.begun),
            offered_per_second,
            timed_from,
        }
    }

    fn shard(&self, turn: u64) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(turn % SHARDS as u64).unwrap_or(0);
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the calls of one load, or of several of the same kind.
#[derive(Clone, Debug)]
pub struct Counted {
    tally: Tally,
    successes_in_time: u64,
    answers_in_time: u64,
    /// The time over which rates are taken.
    rated: Duration,
    /// From the first start to the last answer.
    lasted: Duration,
    offered_per_second: Option<f64>,
    timed_from: TimedFrom,
}

impl Counted {
    /// Calls per second.
    pub fn per_second(&self, rate: Rate) -> f64 {
        let count = match rate {
            Rate::Answers => self.answers_in_time,
            Rate::Successes => self.successes_in_time,
        };
        per_second(count, self.rated)
    }

    /// From the first start to the last answer.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// How many calls were answered as hoped.
    pub fn successes(&self) -> u64 {
        self.tally.successes()
    }

    /// How many were answered, refusals included.
    pub fn answers(&self) -> u64 {
        self.tally.successes() + self.tally.refusals()
    }

    /// How many calls ended, in whichever way.
    pub fn calls(&self) -> u64 {
        self.answers() + self.tally.errors()
    }

    /// Adds what was counted in another slice.
    fn add(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.successes_in_time += other.successes_in_time;
        self.answers_in_time += other.answers_in_time;
        self.rated += other.rated;
        self.lasted += other.lasted;
    }

    /// All slices as one; none if there is none.
    pub fn sum(slices: &[Self]) -> Option<Self> {
        let (first, others) = slices.split_first()?;
        let mut sum = first.clone();
        for other in others {
            sum.add(other);
        }
        Some(sum)
    }

    /// What is reported.
    pub fn measurement(&self, phase: &str, name: &str) -> Measurement {
        Measurement {
            successes_per_second: self.per_second(Rate::Successes),
            answers_per_second: self.per_second(Rate::Answers),
            timed_from: self.timed_from,
            ..self.tally.measurement(phase, name, self.offered_per_second, self.lasted)
        }
    }
}

#[cfg(test)]
impl Counted {
    /// Calls that ended like this, so many of each kind.
    pub(crate) fn of(outcomes: &[(u64, Outcome)]) -> Self {
        let mut counted = Self::steady(0, Duration::ZERO);
        for (count, outcome) in outcomes {
            (0..*count).for_each(|_| counted.tally.count(Duration::ZERO, outcome.clone()));
        }
        counted
    }

    /// So many successes a second for some time.
    pub(crate) fn steady(per_second: u64, lasted: Duration) -> Self {
        let successes = per_second * u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX) / 1_000;
        let mut tally = Tally::default();
        (0..successes).for_each(|_| tally.count(Duration::from_millis(1), Outcome::Success));
        Self {
            tally,
            successes_in_time: successes,
            answers_in_time: successes,
            rated: lasted,
            lasted,
            offered_per_second: None,
            timed_from: TimedFrom::Call,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_add_up_to_their_mean_rate() {
        let second = Duration::from_secs(1);
        let sum = Counted::sum(&[Counted::steady(100, second), Counted::steady(400, 2 * second)]).expect("two slices");
        assert_eq!((sum.calls(), sum.lasted()), (900, 3 * second));
        assert!((sum.per_second(Rate::Successes) - 300.0).abs() < 1e-9);
        let measured = sum.measurement("saturated", "HoldSeats");
        assert!((measured.answers_per_second - 300.0).abs() < 1e-9 && (measured.seconds - 3.0).abs() < 1e-9);
        assert!(Counted::sum(&[]).is_none());
    }
}
