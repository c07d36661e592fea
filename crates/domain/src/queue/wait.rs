//! How long the wait may be, from the measured rate of admissions.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// The window of the measurement.
const WINDOW: Duration = Duration::from_mins(1);
/// The least time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The shortest measurement that gives an estimate.
const MEASURED_MIN: Duration = Duration::from_secs(5);
/// The window is divided into this many parts to find the slowest.
const PARTS: u32 = 6;
/// A longer wait is not estimated.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// An estimate of a wait; none where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// At the rate of the last minute.
    pub p50: Option<Duration>,
    /// At the rate of the slowest part of the last minute.
    pub p90: Option<Duration>,
}

/// Measures the rate of calls from how many were called in total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionMeter {
    /// The time of each sample, and how many had been called by then.
    samples: VecDeque<(Timestamp, u64)>,
}

impl AdmissionMeter {
    /// Records how many were called in total. If the total falls, the queue was begun again, and so is the measurement.
    pub fn note(&mut self, at: Timestamp, called: u64) {
        if self.samples.back().is_some_and(|(_, before)| *before > called) {
            self.samples.clear();
        }
        if self.samples.back().is_some_and(|(before, _)| at < *before + SAMPLE_EVERY) {
            return;
        }
        self.samples.push_back((at, called));
        while self.samples.get(1).is_some_and(|(second, _)| *second + WINDOW <= at) {
            self.samples.pop_front();
        }
    }

    /// Calls per second over the last minute; none if too little was measured.
    pub fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        rate(*first, *last).filter(|_| first.0 + MEASURED_MIN <= last.0)
    }

    /// How long until this position is called, at the rates of the last minute.
    pub fn wait(&self, position: u64) -> Wait {
        let Some(usual) = self.per_second() else { return Wait::default() };
        Wait { p50: wait_at(usual, position), p90: wait_at(self.slowest().unwrap_or(usual), position) }
    }

    /// The rate of the slowest part of the window.
    fn slowest(&self) -> Option<f64> {
        let part = self.samples.len().div_ceil(PARTS as usize).max(1);
        let edges = self.samples.iter().copied().step_by(part).collect::<Vec<_>>();
        edges.windows(2).filter_map(|pair| rate(pair[0], pair[1])).reduce(f64::min)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a guess, and no queue has 2^52 fans")]
fn rate((from, before): (Timestamp, u64), (to, after): (Timestamp, u64)) -> Option<f64> {
    let secs = (to - from).to_std().ok()?.as_secs_f64();
    (secs > 0.0).then(|| after.saturating_sub(before) as f64 / secs)
}

#[expect(clippy::cast_precision_loss, reason = "a wait is a guess, and no queue has 2^52 fans")]
fn wait_at(per_second: f64, position: u64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64((position as f64 / per_second).ceil()).ok()?;
    (wait <= WAIT_MAX).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(secs, 0).expect("in range")
    }

    fn range(p50: u64, p90: u64) -> Wait {
        Wait { p50: Some(Duration::from_secs(p50)), p90: Some(Duration::from_secs(p90)) }
    }

    #[test]
    fn nothing_is_known_at_first() {
        let mut meter = AdmissionMeter::default();
        assert_eq!(meter.wait(1), Wait::default());
        for second in 0..5 {
            meter.note(at(second), 0);
            assert_eq!(meter.wait(1), Wait::default());
        }
        meter.note(at(5), 0);
        assert_eq!(meter.wait(1), Wait::default(), "at no rate there is no end");
    }

    #[test]
    fn a_steady_rate_gives_one_wait() {
        let mut meter = AdmissionMeter::default();
        for second in 0..=300 {
            meter.note(at(second), 20 * u64::try_from(second).expect("positive"));
        }
        assert_eq!(meter.wait(600), range(30, 30));
        assert_eq!(meter.samples.len(), 61);
    }

    #[test]
    fn a_slow_part_makes_the_range_wide() {
        let mut meter = AdmissionMeter::default();
        let mut called = 0;
        for second in 0..=60 {
            called += if second <= 30 { 30 } else { 10 };
            meter.note(at(second), called);
        }
        let wait = meter.wait(200);
        assert_eq!(wait, range(10, 20));
    }

    #[test]
    fn a_count_that_falls_is_another_queue() {
        let mut meter = AdmissionMeter::default();
        for second in 0..=10 {
            meter.note(at(second), 100 * u64::try_from(second).expect("positive"));
        }
        meter.note(at(11), 5);
        assert_eq!(meter.wait(10), Wait::default());
    }
}
