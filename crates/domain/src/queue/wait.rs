//! How long the wait may be, from how fast the queue calls fans.

use std::time::Duration;

use crate::queue::{QueueRate, QueueSettings};
use crate::time::Timestamp;

/// The window of the measurement.
const WINDOW: Duration = Duration::from_mins(1);
/// The least time between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// The most samples that a queue keeps: those of the window.
pub const SAMPLES_MAX: usize = 13;
/// The shortest measurement of a rate.
const MEASURED_MIN: Duration = Duration::from_secs(5);
/// A time in which the configured rate makes fewer calls than this measures nothing.
const CALLS_MIN: f64 = 10.0;
/// The window is divided into this many parts to find the slowest.
const PARTS: usize = 6;
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

/// The totals of a queue at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaceSample {
    /// The moment.
    pub at: Timestamp,
    /// How many fans of each lane were called since the queue was opened.
    pub called: Vec<u64>,
    /// How many were called or active.
    pub inside: u64,
}

/// How fast a queue has called fans lately. The queue store measures it at each admission, once for all instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// At most [`SAMPLES_MAX`], at least [`SAMPLE_EVERY`] apart, the oldest first.
    pub samples: Vec<PaceSample>,
    /// The last admission that called fewer fans than the rate and the maximum allowed: it was paused, nobody else waited, or no seat
    /// was left. What was measured before does not say how fast fans who wait are called.
    pub idle_at: Option<Timestamp>,
}

/// How many fans who wait are called per second; none if that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallRate {
    usual: Option<f64>,
    slowest: Option<f64>,
}

impl PaceSample {
    fn called_in_all(&self) -> f64 {
        to_f64(self.called.iter().sum())
    }

    /// How many are not inside any more. It is negative if some were inside when the queue was opened; only differences count.
    fn ended(&self) -> f64 {
        self.called_in_all() - to_f64(self.inside)
    }
}

impl Pace {
    /// Records a sample, unless the last one is too recent.
    pub fn note(&mut self, sample: PaceSample) {
        if self.samples.last().is_some_and(|last| sample.at < last.at + SAMPLE_EVERY) {
            return;
        }
        self.samples.push(sample);
        let surplus = self.samples.len().saturating_sub(SAMPLES_MAX);
        self.samples.drain(..surplus);
    }

    /// How fast fans who wait are called. While places inside are free, this is the measured rate of calls, and the configured rate
    /// until it is measured. While the maximum is reached, it is the rate at which sessions end. That is at least the maximum divided
    /// by the duration of a session, because no session is longer.
    pub fn call_rate(&self, now: &PaceSample, settings: &QueueSettings) -> CallRate {
        let configured = per_second(settings.rate);
        let points = self.points(now, self.idle_at);
        if now.inside >= u64::from(settings.max_active) {
            let turnover = f64::from(settings.max_active) / settings.active_duration.as_secs_f64();
            let measured = rates(&points, PaceSample::ended);
            let bounded = |rate: Option<f64>| Some(rate.unwrap_or(0.0).max(turnover).min(configured));
            return CallRate { usual: bounded(measured.usual), slowest: bounded(measured.slowest) };
        }
        let measured_for = points.first().map_or(0.0, |first| secs_between(first, now));
        if measured_for < MEASURED_MIN.as_secs_f64() || configured * measured_for < CALLS_MIN {
            return CallRate { usual: Some(configured), slowest: Some(configured) };
        }
        rates(&points, PaceSample::called_in_all)
    }

    /// Calls of a lane per second over the last minute, whether or not fans waited; none if too little was measured.
    pub fn lane_per_second(&self, now: &PaceSample, lane: usize) -> Option<f64> {
        let points = self.points(now, None);
        let called = |sample: &PaceSample| to_f64(sample.called.get(lane).copied().unwrap_or(0));
        let is_measured = points.first().is_some_and(|first| secs_between(first, now) >= MEASURED_MIN.as_secs_f64());
        rates(&points, called).usual.filter(|_| is_measured)
    }

    /// The samples of the last minute after a moment, and the present totals.
    fn points<'a>(&'a self, now: &'a PaceSample, after: Option<Timestamp>) -> Vec<&'a PaceSample> {
        let is_recent = |sample: &&PaceSample| {
            sample.at + WINDOW + SAMPLE_EVERY > now.at
                && sample.at < now.at
                && after.is_none_or(|after| sample.at > after)
        };
        self.samples.iter().filter(is_recent).chain([now]).collect()
    }
}

impl CallRate {
    /// How long until this position of a lane is called. `share` is the lane's part of all calls.
    pub fn wait(&self, position: u64, share: f64) -> Wait {
        let wait = |rate: Option<f64>| rate.and_then(|rate| wait_at(rate * share, position));
        Wait { p50: wait(self.usual), p90: wait(self.slowest) }
    }
}

/// The growth of a total over all points, and in the slowest part of them.
fn rates(points: &[&PaceSample], total: impl Fn(&PaceSample) -> f64) -> CallRate {
    let rate = |from: &PaceSample, to: &PaceSample| {
        let secs = secs_between(from, to);
        (secs > 0.0).then(|| ((total(to) - total(from)) / secs).max(0.0))
    };
    let part = points.len().div_ceil(PARTS).max(1);
    let edges: Vec<&PaceSample> = points.iter().copied().step_by(part).collect();
    let slowest = edges.windows(2).filter_map(|pair| rate(pair[0], pair[1])).reduce(f64::min);
    let usual = points.first().zip(points.last()).and_then(|(first, last)| rate(first, last));
    CallRate { usual, slowest: slowest.or(usual) }
}

fn secs_between(from: &PaceSample, to: &PaceSample) -> f64 {
    (to.at - from.at).to_std().unwrap_or_default().as_secs_f64()
}

fn per_second(rate: QueueRate) -> f64 {
    f64::from(rate.admissions) / rate.period.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a guess, and no queue has 2^52 fans")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn wait_at(per_second: f64, position: u64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64((to_f64(position) / per_second).ceil()).ok()?;
    (wait <= WAIT_MAX).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn sample(secs: u64, called: u64, inside: u64) -> PaceSample {
        PaceSample { at: at(secs), called: vec![called], inside }
    }

    fn range(p50: u64, p90: u64) -> Wait {
        Wait { p50: Some(Duration::from_secs(p50)), p90: Some(Duration::from_secs(p90)) }
    }

    /// 20 a second, 1,000 inside, sessions of 100 seconds.
    fn settings() -> QueueSettings {
        QueueSettings { max_active: 1_000, active_duration: Duration::from_secs(100), ..QueueSettings::default() }
    }

    /// The pace of a queue that had called this many by each second.
    fn pace(secs: u64, called: impl Fn(u64) -> u64) -> Pace {
        let mut pace = Pace::default();
        for second in 0..=secs {
            pace.note(sample(second, called(second), 0));
        }
        pace
    }

    #[test]
    fn at_first_the_configured_rate_counts() {
        let rate = Pace::default().call_rate(&sample(0, 0, 0), &settings());
        assert_eq!(rate.wait(600, 1.0), range(30, 30));
        assert_eq!(rate.wait(600, 0.5), range(60, 60), "a lane with half of the calls");
        let rate = pace(4, |_| 0).call_rate(&sample(4, 0, 0), &settings());
        assert_eq!(rate.wait(600, 1.0), range(30, 30));
    }

    #[test]
    fn then_the_measured_rate_counts() {
        let rate = pace(300, |second| 10 * second).call_rate(&sample(300, 3_000, 0), &settings());
        assert_eq!(rate.wait(600, 1.0), range(60, 60));
        let stalled = pace(300, |_| 0).call_rate(&sample(300, 0, 0), &settings());
        assert_eq!(stalled.wait(1, 1.0), Wait::default(), "at no rate there is no end");
    }

    #[test]
    fn a_slow_part_makes_the_range_wide() {
        let called = |second: u64| if second <= 30 { 30 * second } else { 900 + 10 * (second - 30) };
        let rate = pace(60, called).call_rate(&sample(60, 1_200, 0), &settings());
        assert_eq!(rate.wait(200, 1.0), range(10, 20));
    }

    #[test]
    fn a_time_in_which_nobody_waited_measures_nothing() {
        let mut pace = pace(60, |_| 0);
        pace.idle_at = Some(at(58));
        assert_eq!(pace.call_rate(&sample(60, 0, 0), &settings()).wait(600, 1.0), range(30, 30));
        assert_eq!(pace.lane_per_second(&sample(60, 60, 0), 0), Some(1.0), "operators see all calls");
        assert_eq!(pace.lane_per_second(&sample(60, 60, 0), 7), Some(0.0));
        assert_eq!(Pace::default().lane_per_second(&sample(60, 60, 0), 0), None);
    }

    #[test]
    fn a_slow_configured_rate_is_not_measured_too_early() {
        let rate = QueueRate { admissions: 1, period: Duration::from_mins(1) };
        let slow = QueueSettings { rate, ..settings() };
        assert_eq!(pace(60, |_| 0).call_rate(&sample(60, 0, 0), &slow).wait(2, 1.0), range(120, 120));
    }

    #[test]
    fn a_full_queue_calls_as_sessions_end() {
        let full = sample(60, 1_000, 1_000);
        let rate = pace(60, |_| 1_000).call_rate(&full, &settings());
        assert_eq!(rate.wait(100, 1.0), range(10, 10), "1,000 inside for 100 seconds make 10 a second");
        let mut pace = Pace::default();
        for second in 0..=60 {
            pace.note(sample(second, 1_000 + 15 * second, 1_000));
        }
        assert_eq!(pace.call_rate(&sample(60, 1_900, 1_000), &settings()).wait(150, 1.0), range(10, 10));
        let wide = QueueSettings { active_duration: Duration::from_secs(10), ..settings() };
        assert_eq!(
            pace.call_rate(&sample(60, 1_900, 1_000), &wide).wait(200, 1.0),
            range(10, 10),
            "the rate is the limit"
        );
    }

    #[test]
    fn samples_are_few() {
        let pace = pace(300, |second| second);
        assert_eq!((pace.samples.len(), pace.samples[0].at), (SAMPLES_MAX, at(240)));
    }
}
