//! The token bucket that limits the rate of admissions.

use std::time::Duration;

use crate::queue::{AdmissionTerms, QueueRate};
use crate::time::Timestamp;

/// The bucket holds what the rate makes in this time, beside a batch. Ticks come much more often, so that while fans wait nothing
/// overflows, and the long-run rate of admissions is the rate set, however small the batch is.
pub const BUCKET_SLACK: Duration = Duration::from_secs(1);

/// A token bucket that fills at the queue's rate; each admission takes one token. Its level is in admissions times the period in
/// milliseconds, so that it grows by a whole number each millisecond and loses no fraction. When the period changes, the level
/// is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// Admissions times period.
    pub level: u64,
    /// The period of the level, in milliseconds.
    pub period_ms: u64,
    /// The time of the level, in milliseconds since 1970. It never decreases.
    pub at_ms: i64,
}

impl TokenBucket {
    /// The bucket of a new queue, which may admit a whole batch.
    pub fn new(terms: &AdmissionTerms, now: Timestamp) -> Self {
        Self { level: u64::from(terms.batch) * cost(terms), period_ms: cost(terms), at_ms: now.timestamp_millis() }
    }

    /// An empty bucket: a restored queue may have admitted a batch just before it was lost.
    pub fn empty(now: Timestamp) -> Self {
        Self { level: 0, period_ms: 1, at_ms: now.timestamp_millis() }
    }

    /// Fills the bucket up to `now`. An earlier `now` adds nothing.
    pub fn refill(&mut self, terms: &AdmissionTerms, now: Timestamp) {
        let now_ms = now.timestamp_millis().max(self.at_ms);
        let elapsed_ms = u64::try_from(now_ms - self.at_ms).unwrap_or(0);
        let filled = elapsed_ms.saturating_mul(u64::from(terms.rate.admissions));
        self.level = self.level_in(cost(terms)).saturating_add(filled).min(capacity(terms.rate, terms.batch));
        self.period_ms = cost(terms);
        self.at_ms = now_ms;
    }

    /// Converts the level to another period. Whole admissions and the rest are converted separately, so that nothing overflows.
    fn level_in(&self, period_ms: u64) -> u64 {
        let (admissions, rest) = (self.level / self.period_ms, self.level % self.period_ms);
        admissions * period_ms + rest * period_ms / self.period_ms
    }

    /// How many may be admitted now.
    pub fn available(&self, terms: &AdmissionTerms) -> u64 {
        self.level / cost(terms)
    }

    /// Takes the tokens of admissions that were available.
    pub fn spend(&mut self, terms: &AdmissionTerms, admissions: u64) {
        self.level = self.level.saturating_sub(admissions * cost(terms));
    }
}

/// The most admissions at one moment: a batch, and what the rate makes in [`BUCKET_SLACK`].
pub fn burst(rate: QueueRate, batch: u32) -> u64 {
    capacity(rate, batch) / period_ms(rate)
}

fn cost(terms: &AdmissionTerms) -> u64 {
    period_ms(terms.rate)
}

fn period_ms(rate: QueueRate) -> u64 {
    u64::try_from(rate.period.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn capacity(rate: QueueRate, batch: u32) -> u64 {
    let slack_ms = u64::try_from(BUCKET_SLACK.as_millis()).unwrap_or(u64::MAX);
    u64::from(batch) * period_ms(rate) + u64::from(rate.admissions) * slack_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueSettings;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(ms).expect("in range")
    }

    fn terms() -> AdmissionTerms {
        QueueSettings::default().terms(None, at(0), at(0))
    }

    #[test]
    fn a_bucket_admits_a_batch_and_then_the_rate() {
        let terms = terms();
        let mut bucket = TokenBucket::new(&terms, at(0));
        assert_eq!(bucket.available(&terms), 200);
        bucket.spend(&terms, 200);
        bucket.refill(&terms, at(49));
        assert_eq!(bucket.available(&terms), 0);
        bucket.refill(&terms, at(50));
        assert_eq!(bucket.available(&terms), 1, "200 per 10 s is one every 50 ms");
        bucket.refill(&terms, at(1_000_000));
        assert_eq!(bucket.available(&terms), 220, "never more than a batch and what the rate makes in a second");
    }

    #[test]
    fn an_empty_bucket_fills_at_the_rate() {
        let mut bucket = TokenBucket::empty(at(0));
        bucket.refill(&terms(), at(499));
        assert_eq!(bucket.available(&terms()), 9);
        bucket.refill(&terms(), at(500));
        assert_eq!(bucket.available(&terms()), 10);
    }

    #[test]
    fn a_small_batch_does_not_lower_the_rate() {
        for (admissions, period, batch, tick) in [(9, 1, 1, 100), (100, 1, 1, 130), (100, 1, 5, 700), (1, 2, 1, 110)] {
            let rate = QueueRate { admissions, period: Duration::from_secs(period) };
            let terms = QueueSettings { rate, batch, ..QueueSettings::default() }.terms(None, at(0), at(0));
            let mut bucket = TokenBucket::new(&terms, at(0));
            let mut admitted = 0;
            for ms in (0..=100_000).step_by(tick) {
                bucket.refill(&terms, at(ms));
                let available = bucket.available(&terms);
                bucket.spend(&terms, available);
                admitted += available;
            }
            let by_rate = 100 * u64::from(admissions) / period;
            let missing = (by_rate + u64::from(batch)).saturating_sub(admitted);
            assert!(missing <= burst(rate, batch), "{rate:?}: {admitted} admitted, {missing} missing");
            assert!(admitted <= by_rate + u64::from(batch), "{rate:?}: {admitted} admitted");
        }
    }

    #[test]
    fn a_change_of_period_keeps_what_is_there() {
        let slow = terms();
        let same_rate = QueueRate { admissions: 20, period: Duration::from_secs(1) };
        let quick = AdmissionTerms { rate: same_rate, ..slow.clone() };
        let mut bucket = TokenBucket::new(&slow, at(0));
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
        let terms = terms();
        let mut bucket = TokenBucket::new(&terms, at(1_000));
        bucket.spend(&terms, 200);
        bucket.refill(&terms, at(0));
        bucket.refill(&terms, at(1_000));
        assert_eq!(bucket.available(&terms), 0);
    }
}
