//! The waiting line of a performance: its settings, its queue tokens, and how fast it admits.

use std::time::Duration;

use thiserror::Error;

use crate::ids::{PerformanceId, UserId};
use crate::time::Timestamp;

/// The most fans that may be inside at once, and the most that may be admitted at once.
pub const CAP_MAX: u32 = 100_000;
/// The longest period that a rate may be given over.
pub const RATE_PERIOD_MAX: Duration = Duration::from_hours(1);
/// The shortest period that a rate may be given over: one tick.
pub const RATE_PERIOD_MIN: Duration = Duration::from_millis(100);

/// How many fans are admitted in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRate {
    /// 1 to [`CAP_MAX`].
    pub admissions: u32,
    /// [`RATE_PERIOD_MIN`] to [`RATE_PERIOD_MAX`], in whole milliseconds.
    pub period: Duration,
}

/// How a line admits. Operators change it during a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// The long-run rate of admissions.
    pub rate: LineRate,
    /// The most fans admitted at once after a quiet time: in any time `t` at most `batch + rate · t` are admitted.
    pub batch: u32,
    /// The most fans inside at once: active, or called and not yet come.
    pub cap: u32,
    /// While paused nobody is called.
    pub paused: bool,
    /// How long a called fan has to come.
    pub claim_window: Duration,
    /// How long an active token is good.
    pub active_for: Duration,
    /// How long a fan may be away without losing the place.
    pub grace: Duration,
}

impl Default for LineSettings {
    fn default() -> Self {
        Self {
            rate: LineRate { admissions: 200, period: Duration::from_secs(10) },
            batch: 200,
            cap: 500,
            paused: false,
            claim_window: Duration::from_secs(30),
            active_for: Duration::from_mins(10),
            grace: Duration::from_mins(2),
        }
    }
}

/// What an operator changes about a line; what is not said stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinePatch {
    /// See [`LineSettings::rate`].
    pub rate: Option<LineRate>,
    /// See [`LineSettings::batch`].
    pub batch: Option<u32>,
    /// See [`LineSettings::cap`].
    pub cap: Option<u32>,
    /// See [`LineSettings::paused`].
    pub paused: Option<bool>,
}

/// The number is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotALineSetting {
    /// A rate, batch or cap.
    #[error("must be 1 to {CAP_MAX}")]
    Count,
    /// The period of a rate.
    #[error("must be 100 milliseconds to 1 hour")]
    Period,
}

/// Checks a rate, batch or cap.
pub fn check_line_count(count: u32) -> Result<u32, NotALineSetting> {
    if (1..=CAP_MAX).contains(&count) { Ok(count) } else { Err(NotALineSetting::Count) }
}

/// Checks the period of a rate; parts of a millisecond are dropped.
pub fn check_rate_period(period: Duration) -> Result<Duration, NotALineSetting> {
    if !(RATE_PERIOD_MIN..=RATE_PERIOD_MAX).contains(&period) {
        return Err(NotALineSetting::Period);
    }
    Ok(Duration::new(period.as_secs(), period.subsec_millis() * 1_000_000))
}

impl LineSettings {
    /// The settings with the patch applied.
    pub fn patched(self, patch: &LinePatch) -> Self {
        Self {
            rate: patch.rate.unwrap_or(self.rate),
            batch: patch.batch.unwrap_or(self.batch),
            cap: patch.cap.unwrap_or(self.cap),
            paused: patch.paused.unwrap_or(self.paused),
            ..self
        }
    }
}

/// The line has no settings: the performance has no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the performance has no line")]
pub struct NoLine;

/// What a queue token says: who stands where in which line. It does not say whether they were admitted; the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueTicket {
    /// Which line.
    pub performance: PerformanceId,
    /// Who stands there.
    pub user: UserId,
    /// Which run of the line: numbers start again at 1 when a line is made anew, and a ticket of an earlier run has ended.
    pub epoch: i64,
    /// The place: 1 for the first to join.
    pub number: u64,
}

/// Why a queue token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The fan paid.
    Used,
    /// The fan left.
    Left,
    /// The token was active until its deadline.
    Expired,
    /// The fan was away for longer than the grace period, or did not come when called.
    Abandoned,
    /// The line was made anew and this place belonged to the run before.
    Reset,
}

/// Where a queue token is in its life: waiting → called → active → ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// In the line.
    Waiting,
    /// Called, and not yet come.
    Called {
        /// Until when the fan may come.
        claim_by: Timestamp,
    },
    /// May use guarded RPCs.
    Active {
        /// Until when.
        until: Timestamp,
    },
    /// Of no use any more.
    Ended(EndReason),
}

/// A bucket that fills at the line's rate and is emptied by admissions. Its level is counted in admissions times the
/// period in milliseconds, so that it fills by a whole number every millisecond and never loses a fraction. When the period
/// is changed, the level is counted anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// Admissions times period.
    pub level: u64,
    /// The period that the level is counted in, in milliseconds.
    pub period_ms: u64,
    /// When the level was right, in milliseconds since 1970. It never goes back.
    pub at_ms: i64,
}

impl TokenBucket {
    /// A full bucket: a new line may admit a batch at once.
    pub fn full(settings: &LineSettings, now: Timestamp) -> Self {
        Self { level: capacity(settings), period_ms: cost(settings), at_ms: now.timestamp_millis() }
    }

    /// Fills the bucket up to `now`. A clock that goes back fills nothing.
    pub fn refill(&mut self, settings: &LineSettings, now: Timestamp) {
        let now_ms = now.timestamp_millis().max(self.at_ms);
        let elapsed_ms = u64::try_from(now_ms - self.at_ms).unwrap_or(0);
        let filled = elapsed_ms.saturating_mul(u64::from(settings.rate.admissions));
        self.level = self.level_in(cost(settings)).saturating_add(filled).min(capacity(settings));
        self.period_ms = cost(settings);
        self.at_ms = now_ms;
    }

    /// The level counted in another period: whole admissions and the rest apart, so that nothing overflows.
    fn level_in(&self, period_ms: u64) -> u64 {
        let (admissions, rest) = (self.level / self.period_ms, self.level % self.period_ms);
        admissions * period_ms + rest * period_ms / self.period_ms
    }

    /// How many may be admitted now.
    pub fn available(&self, settings: &LineSettings) -> u64 {
        self.level / cost(settings)
    }

    /// Pays for admissions that were available.
    pub fn spend(&mut self, settings: &LineSettings, admissions: u64) {
        self.level = self.level.saturating_sub(admissions * cost(settings));
    }
}

fn cost(settings: &LineSettings) -> u64 {
    u64::try_from(settings.rate.period.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn capacity(settings: &LineSettings) -> u64 {
    u64::from(settings.batch) * cost(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(ms).expect("in range")
    }

    #[test]
    fn a_bucket_admits_a_batch_and_then_the_rate() {
        let settings = LineSettings::default();
        let mut bucket = TokenBucket::full(&settings, at(0));
        assert_eq!(bucket.available(&settings), 200);
        bucket.spend(&settings, 200);
        bucket.refill(&settings, at(49));
        assert_eq!(bucket.available(&settings), 0);
        bucket.refill(&settings, at(50));
        assert_eq!(bucket.available(&settings), 1, "200 per 10 s is one every 50 ms");
        bucket.refill(&settings, at(1_000_000));
        assert_eq!(bucket.available(&settings), 200, "never more than a batch");
    }

    #[test]
    fn a_change_of_period_keeps_what_is_there() {
        let slow = LineSettings::default();
        let same_rate = LineRate { admissions: 20, period: Duration::from_secs(1) };
        let quick = LineSettings { rate: same_rate, ..slow };
        let mut bucket = TokenBucket::full(&slow, at(0));
        bucket.spend(&slow, 200);
        bucket.refill(&slow, at(5_000));
        assert_eq!(bucket.available(&slow), 100);
        bucket.refill(&quick, at(5_000));
        assert_eq!(bucket.available(&quick), 100);
        bucket.refill(&slow, at(5_000));
        assert_eq!(bucket.available(&slow), 100);
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing_twice() {
        let settings = LineSettings::default();
        let mut bucket = TokenBucket::full(&settings, at(1_000));
        bucket.spend(&settings, 200);
        bucket.refill(&settings, at(0));
        bucket.refill(&settings, at(1_000));
        assert_eq!(bucket.available(&settings), 0);
    }
}
