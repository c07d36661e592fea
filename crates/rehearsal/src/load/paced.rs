//! When the calls of an open loop start.

use std::time::Duration;

use crate::load::tally::to_f64;

/// The slowest and the fastest steady pace, in calls per second: no gap is endless and none is zero.
const RATES: (f64, f64) = (0.001, 1_000_000.0);

/// An open loop: calls start at their moments, however slow the answers are.
///
/// Timers have a resolution of a millisecond. Calls that are due within the same one start together at its end, and each counts from
/// the moment for which it was intended: up to a millisecond of an answer time is the load generator's and counts against the server.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    calls: u64,
    /// None if all start at once.
    rate_per_second: Option<f64>,
}

impl Paced {
    /// Evenly spaced calls.
    pub fn steady(rate_per_second: f64, lasts: Duration, calls_max: u64) -> Self {
        let rate = rate_per_second.max(RATES.0).min(RATES.1);
        Self { calls: whole((lasts.as_secs_f64() * rate).ceil()).min(calls_max), rate_per_second: Some(rate) }
    }

    /// Everybody in the same instant.
    pub fn at_once(calls: u64) -> Self {
        Self { calls, rate_per_second: None }
    }

    /// How many calls there are.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// The intended start of the call of this number, from the beginning.
    pub(super) fn start(&self, number: u64) -> Duration {
        self.rate_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(to_f64(number) / rate))
    }

    /// How long a steady load lasts: a gap longer than its last start. None if it is over when all are answered.
    pub(super) fn lasts(&self) -> Option<Duration> {
        self.rate_per_second.map(|_| self.start(self.calls))
    }

    /// How many calls a second are meant to start, if that is prescribed.
    pub(super) fn offered_per_second(&self) -> Option<f64> {
        self.rate_per_second
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from a float saturates")]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_offers_its_rate() {
        let paced = Paced::steady(200.0, Duration::from_secs(2), u64::MAX);
        assert_eq!((paced.calls(), paced.lasts()), (400, Some(Duration::from_secs(2))));
        assert_eq!((paced.start(0), paced.start(399)), (Duration::ZERO, Duration::from_millis(1_995)));
        assert!(paced.offered_per_second().is_some_and(|rate| (rate - 200.0).abs() < 1e-6));
        assert_eq!(Paced::steady(200.0, Duration::from_secs(2), 7).calls(), 7);
    }

    #[test]
    fn all_at_once_is_no_rate() {
        let paced = Paced::at_once(3);
        assert_eq!((paced.calls(), paced.start(2), paced.lasts()), (3, Duration::ZERO, None));
        assert_eq!(paced.offered_per_second(), None);
    }

    #[test]
    fn no_rate_is_endless_or_without_gaps() {
        for (rate, calls) in [(f64::INFINITY, 600_000_000), (1e300, 600_000_000), (0.0, 1), (f64::NAN, 1), (-7.0, 1)] {
            let paced = Paced::steady(rate, Duration::from_mins(10), u64::MAX);
            assert_eq!(paced.calls(), calls, "{rate}");
            assert!(paced.start(1) > Duration::ZERO, "{rate}");
        }
    }
}
