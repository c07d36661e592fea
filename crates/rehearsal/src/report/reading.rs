//! What the model's fields say together, for whichever form tells it.

use std::collections::BTreeMap;

use super::model::{Baseline, Measurement, PromiseReport, Proof, Report, TimedFrom};
use super::numbers;

/// A measurement's rate beside a baseline's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison<'a> {
    /// The measurement, as `phase call`.
    pub measurement: &'a str,
    /// What it is compared with.
    pub baseline: &'a Baseline,
    /// The measurement's rate divided by the baseline's.
    pub ratio: f64,
}

impl Report {
    /// All comparisons, measurement by measurement in the order of the measurements.
    pub(crate) fn comparisons(&self) -> Vec<Comparison<'_>> {
        let order: Vec<String> = self.measurements.iter().map(Measurement::name).collect();
        let mut comparisons: Vec<_> = self
            .baselines
            .iter()
            .flat_map(|baseline| {
                baseline.ratios.iter().map(move |(measurement, ratio)| Comparison {
                    measurement,
                    baseline,
                    ratio: *ratio,
                })
            })
            .collect();
        comparisons.sort_by_cached_key(|comparison| {
            let place = order.iter().position(|name| name == comparison.measurement);
            (place.unwrap_or(order.len()), comparison.measurement)
        });
        comparisons
    }
}

impl Measurement {
    /// Its name among all measurements, which is how a baseline's ratios call it.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.phase, self.call)
    }

    /// How many calls were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }

    /// How many calls failed.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// What share of the calls was answered; nothing if all were, as then answer times leave nobody out.
    pub(crate) fn answered(&self) -> Option<String> {
        let answered = self.successes + self.refused();
        (self.failed() > 0).then(|| numbers::share_of_most(answered, self.calls()))
    }

    /// How many calls ended, in whichever way.
    pub(crate) fn calls(&self) -> u64 {
        self.successes + self.refused() + self.failed()
    }

    /// Each way in which calls were refused or failed: `refused` or `error`, the reason, and how often, the most frequent
    /// first.
    pub(crate) fn reasons(&self) -> Vec<(&'static str, &str, u64)> {
        let of = |answer, reasons| by_count(reasons).into_iter().map(move |(reason, count)| (answer, reason, count));
        of("refused", &self.refusals).chain(of("error", &self.errors)).collect()
    }
}

impl TimedFrom {
    /// As it is told in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IntendedStart => "intended start",
            Self::Call => "call",
            Self::Event => "event",
        }
    }
}

impl Proof {
    /// The verdict as a sentence without its full stop.
    pub(crate) fn verdict(&self) -> String {
        match self.promises.iter().filter(|promise| promise.breaches > 0).count() {
            0 if self.promises.is_empty() => "No promise was examined".to_owned(),
            0 if !self.unexamined.is_empty() => "What was examined was kept, and not all was examined".to_owned(),
            0 => "Every promise that was examined was kept".to_owned(),
            1 => "1 promise was broken".to_owned(),
            broken => format!("{broken} promises were broken"),
        }
    }
}

impl PromiseReport {
    /// How many breaches there are beyond those that are named.
    pub(crate) fn more_findings(&self) -> u64 {
        let named = u64::try_from(self.findings.len()).unwrap_or(u64::MAX);
        self.breaches.saturating_sub(named)
    }
}

fn by_count(reasons: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<_> = reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::fixture;

    #[test]
    fn comparisons_follow_the_order_of_the_measurements() {
        let report = fixture::journey();
        let told: Vec<_> = report.comparisons().iter().map(|of| (of.measurement, of.baseline.name.as_str())).collect();
        assert_eq!(
            told,
            [
                ("saturated JoinQueue", "transport"),
                ("saturated HoldSeats", "transport"),
                ("saturated HoldSeats", "for-update hold"),
                ("saturated PayReservation", "for-update pay"),
            ]
        );
    }

    #[test]
    fn a_verdict_counts_promises_not_breaches() {
        let mut proof = fixture::broken_journey().proof;
        assert_eq!(proof.verdict(), "1 promise was broken");
        proof.promises[1].breaches = 7;
        assert_eq!(proof.verdict(), "2 promises were broken");
        assert_eq!(proof.promises[1].more_findings(), 7);
        let mut kept = fixture::journey().proof;
        assert_eq!(kept.verdict(), "What was examined was kept, and not all was examined");
        kept.unexamined.clear();
        assert_eq!(kept.verdict(), "Every promise that was examined was kept");
        assert_eq!(fixture::part().proof.verdict(), "No promise was examined");
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let measurement = &fixture::broken_journey().measurements[1];
        assert_eq!(
            measurement.reasons(),
            [
                ("refused", "SEATS_TAKEN", 18_211),
                ("refused", "SEAT_LIMIT_EXCEEDED", 12),
                ("error", "DeadlineExceeded", 12),
                ("error", "Unavailable", 3),
            ]
        );
        assert_eq!(measurement.calls(), 4_912 + 18_223 + 15);
    }

    #[test]
    fn the_share_that_was_answered_is_told_if_it_is_not_all() {
        let mut measurement = fixture::broken_journey().measurements.swap_remove(1);
        assert_eq!(measurement.answered().as_deref(), Some("99.9 %"));
        measurement.errors.insert("Unavailable".into(), 23_123);
        assert_eq!(measurement.answered().as_deref(), Some("50 %"));
        measurement.errors = [("Unavailable".to_owned(), 1)].into();
        assert_eq!(measurement.answered().as_deref(), Some("> 99.9 %"), "one is missing");
        measurement.errors.clear();
        assert_eq!(measurement.answered(), None);
    }
}
