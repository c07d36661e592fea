//! Counting outcomes and answer times.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::Outcome;
use crate::report::model::{Latency, Measurement, TimedFrom};

/// Answer times are reported with three significant digits.
const DIGITS: u8 = 3;
/// The longest answer time that is recorded: ten minutes. Longer ones count as that.
const LONGEST_US: u64 = 600_000_000;
/// Steps of the percentile curve per halving of what is left to 100.
const CURVE_STEPS: u32 = 4;

/// The outcomes of calls of one kind.
///
/// A failure is no answer, and how soon it came says nothing about how fast answers are: a server that turns calls away in
/// no time would look fast. So it is not among the answer times, and reports say what share of calls was answered. The
/// exception is a call that its caller gave up: its answer would have taken longer than the wait, so it is counted as
/// that long, lest the slowest be left out for being slow.
#[derive(Clone, Debug)]
pub struct Tally {
    /// To the answer or to giving up, in microseconds.
    answer_us: Histogram<u64>,
    successes: u64,
    refusals: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
}

impl Default for Tally {
    #[expect(clippy::expect_used, reason = "the bounds are constants that an HdrHistogram takes")]
    fn default() -> Self {
        let answer_us = Histogram::new_with_max(LONGEST_US, DIGITS).expect("bounds that it takes");
        Self { answer_us, successes: 0, refusals: BTreeMap::new(), errors: BTreeMap::new() }
    }
}

impl Tally {
    /// Counts a call. `took` is counted from its intended start where it has one, so that a stall is seen by all whom it
    /// kept waiting.
    pub fn count(&mut self, took: Duration, outcome: Outcome) {
        if outcome.is_answer() || outcome.is_given_up() {
            self.answer_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        match outcome {
            Outcome::Success => self.successes += 1,
            Outcome::Refused(reason) => *self.refusals.entry(reason).or_default() += 1,
            Outcome::Failed(code) => *self.errors.entry(code).or_default() += 1,
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.answer_us += &other.answer_us;
        self.successes += other.successes;
        for (mine, others) in [(&mut self.refusals, &other.refusals), (&mut self.errors, &other.errors)] {
            for (reason, count) in others {
                *mine.entry(reason.clone()).or_default() += count;
            }
        }
    }

    /// How many were answered as hoped.
    pub fn successes(&self) -> u64 {
        self.successes
    }

    /// How many were refused.
    pub fn refusals(&self) -> u64 {
        self.refusals.values().sum()
    }

    /// How many failed.
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Half and 99 of 100 answers took at most this, in milliseconds; 0 if there were none.
    pub fn percentiles_ms(&self) -> (f64, f64) {
        (millis(self.answer_us.value_at_percentile(50.0)), millis(self.answer_us.value_at_percentile(99.0)))
    }

    /// What is reported of these calls, whose times count from their intended starts, and which took `span` from the first
    /// of these to the last answer. The rates are over that time.
    pub fn measurement(&self, phase: &str, call: &str, offered_per_second: Option<f64>, span: Duration) -> Measurement {
        Measurement {
            phase: phase.to_owned(),
            call: call.to_owned(),
            offered_per_second,
            seconds: span.as_secs_f64(),
            successes: self.successes,
            refusals: self.refusals.clone(),
            errors: self.errors.clone(),
            successes_per_second: per_second(self.successes, span),
            answers_per_second: per_second(self.successes + self.refusals(), span),
            timed_from: TimedFrom::IntendedStart,
            latency: self.latency(),
        }
    }

    fn latency(&self) -> Option<Latency> {
        let times = &self.answer_us;
        if times.is_empty() {
            return None;
        }
        let at = |percentile| millis(times.value_at_percentile(percentile));
        let curve = times.iter_quantiles(CURVE_STEPS).map(|step| (step.percentile(), millis(step.value_iterated_to())));
        Some(Latency {
            mean: times.mean() / 1_000.0,
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: millis(times.max()),
            curve: curve.collect(),
        })
    }
}

/// How many a second that is; 0 if there was no time.
pub fn per_second(count: u64, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { to_f64(count) / span.as_secs_f64() }
}

/// Counts as plots and rates take them.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn to_f64(count: u64) -> f64 {
    count as f64
}

fn millis(micros: u64) -> f64 {
    to_f64(micros) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(actual: f64, expected: f64) -> bool {
        (actual / expected - 1.0).abs() < 0.002
    }

    #[test]
    fn percentiles_are_those_of_the_answers() {
        let mut tally = Tally::default();
        for millis in 1..=1_000 {
            tally.count(Duration::from_millis(millis), Outcome::Success);
        }
        let latency = tally.measurement("paced", "Join", None, Duration::from_secs(1)).latency.expect("answers");
        for (actual, expected) in
            [(latency.p50, 500.0), (latency.p90, 900.0), (latency.p99, 990.0), (latency.p999, 999.0)]
        {
            assert!(about(actual, expected), "{actual} is not {expected}");
        }
        assert!(about(latency.max, 1_000.0));
        assert!(about(latency.mean, 500.5));
        assert!(latency.curve.is_sorted_by(|one, next| one.0 <= next.0 && one.1 <= next.1));
        assert!(latency.curve.last().is_some_and(|(percentile, _)| (percentile - 100.0).abs() < 1e-9));
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_failure_is_not() {
        let mut tally = Tally::default();
        tally.count(Duration::from_millis(1), Outcome::Success);
        tally.count(Duration::from_millis(2), Outcome::Refused("SEATS_TAKEN".into()));
        tally.count(Duration::from_millis(3), Outcome::Refused("SEATS_TAKEN".into()));
        tally.count(Duration::from_hours(1), Outcome::Failed("Unavailable".into()));
        let measured = tally.measurement("saturated", "HoldSeats", None, Duration::from_millis(500));
        assert_eq!((measured.successes, measured.refusals["SEATS_TAKEN"], measured.errors["Unavailable"]), (1, 2, 1));
        assert!(about(measured.successes_per_second, 2.0) && about(measured.answers_per_second, 6.0));
        assert!(
            measured.latency.is_some_and(|latency| latency.max < 3.1),
            "an hour of waiting for nothing is no answer"
        );
    }

    #[test]
    fn who_gave_up_waited_at_least_that_long() {
        let mut tally = Tally::default();
        for _ in 0..98 {
            tally.count(Duration::from_millis(1), Outcome::Success);
        }
        tally.count(Duration::from_secs(15), Outcome::given_up());
        tally.count(Duration::from_secs(15), Outcome::Failed("Cancelled".into()));
        let latency = tally.measurement("paced", "Join", None, Duration::from_secs(1)).latency.expect("answers");
        assert!(about(latency.p90, 1.0) && about(latency.p99, 15_000.0), "{latency:?}");
    }

    #[test]
    fn tallies_add_up() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.count(Duration::from_millis(1), Outcome::Refused("SEATS_TAKEN".into()));
        other.count(Duration::from_millis(9), Outcome::Refused("SEATS_TAKEN".into()));
        other.count(Duration::from_millis(5), Outcome::Success);
        other.count(Duration::ZERO, Outcome::Failed("Unavailable".into()));
        one.merge(&other);
        assert_eq!((one.successes(), one.refusals(), one.errors()), (1, 2, 1));
        assert!(about(one.percentiles_ms().0, 5.0) && about(one.percentiles_ms().1, 9.0));
    }

    #[test]
    fn nothing_at_all_has_no_latency_and_no_rate() {
        let measured = Tally::default().measurement("paced", "Join", None, Duration::ZERO);
        assert!(measured.latency.is_none());
        assert!(measured.successes_per_second.abs() < f64::EPSILON);
    }
}
