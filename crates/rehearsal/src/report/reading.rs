//! What is derived from the model's fields, for every form of the report.

use std::collections::BTreeMap;

use super::model::{Comparison, Measurement, PromiseReport, Proof, Report, Sample, TimedFrom};
use super::numbers;

impl Report {
    /// What came of it, as a sentence without its full stop: what was sold, or what the first call measured came to, and how
    /// many promises were kept.
    pub(crate) fn result(&self) -> Option<String> {
        let result = sold(&self.timeline).or_else(|| self.measurements.first().map(Measurement::result))?;
        let kept = (!self.proof.promises.is_empty()).then(|| format!("; {}", self.proof.kept()));
        Some(result + &kept.unwrap_or_default())
    }
}

/// How many seats were sold, and when the last one was.
fn sold(timeline: &[Sample]) -> Option<String> {
    let (first, last) = (timeline.first()?, timeline.last()?);
    let seats = first.seats_sold + first.seats_left;
    let done = timeline.iter().find(|sample| sample.seats_sold == last.seats_sold)?;
    Some(format!(
        "{} of {} seats were sold in {}",
        numbers::count(last.seats_sold),
        numbers::count(seats),
        numbers::seconds(done.at)
    ))
}

impl Measurement {
    /// Its rate, and how long answers took.
    fn result(&self) -> String {
        let rate = numbers::quantity(self.answers_per_second);
        let times = self
            .latency
            .as_ref()
            .map(|latency| format!(", p50 {}, p99 {}", numbers::millis(latency.p50), numbers::millis(latency.p99)));
        format!("{} {}: {rate} answers/s{}", self.phase, self.call, times.unwrap_or_default())
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

impl Comparison {
    /// The median of the ratios.
    pub(crate) fn median(&self) -> String {
        self.ratio.map_or_else(|| numbers::NONE.to_owned(), |ratio| numbers::ratio(ratio.median))
    }

    /// The interval of the median.
    pub(crate) fn interval(&self) -> String {
        let interval = self.ratio.and_then(|ratio| ratio.interval);
        interval.map_or_else(|| numbers::NONE.to_owned(), |interval| numbers::span(interval.low, interval.high))
    }

    /// The smallest and the largest ratio.
    pub(crate) fn range(&self) -> String {
        self.ratio.map_or_else(|| numbers::NONE.to_owned(), |ratio| numbers::span(ratio.min, ratio.max))
    }

    /// How many pairs were kept.
    pub(crate) fn pairs(&self) -> String {
        self.ratio.map_or(0, |ratio| ratio.pairs).to_string()
    }

    /// How many pairs do not count.
    pub(crate) fn left_out(&self) -> u64 {
        self.stolen + self.failed
    }
}

impl TimedFrom {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IntendedStart => "intended start",
            Self::Call => "call",
            Self::Event => "event",
        }
    }
}

impl Proof {
    /// How many of the promises that were examined were kept.
    fn kept(&self) -> String {
        let kept = self.promises.iter().filter(|promise| promise.breaches == 0).count();
        format!("{kept} of {} promises were kept", self.promises.len())
    }

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
    fn the_result_is_what_was_sold_or_the_first_rate() {
        let mut sale = fixture::journey();
        assert_eq!(
            sale.result().as_deref(),
            Some("3 200 of 3 200 seats were sold in 59.8 s; 3 of 3 promises were kept")
        );
        sale.proof.promises[0].breaches = 1;
        assert!(sale.result().expect("a sale").ends_with("; 2 of 3 promises were kept"));
        let part = fixture::part().result();
        assert_eq!(part.as_deref(), Some("saturated JoinQueue: 9 211 answers/s, p50 0.42 ms, p99 1.3 ms"));
        let nothing = super::Report { measurements: vec![], ..fixture::part() };
        assert_eq!(nothing.result(), None);
    }

    #[test]
    fn a_comparison_tells_median_interval_range_and_pairs() {
        let report = fixture::journey();
        let told = |index: usize| {
            let comparison = &report.comparisons[index];
            [comparison.median(), comparison.interval(), comparison.range(), comparison.pairs()].join(" | ")
        };
        assert_eq!(told(0), "2.77× | 2.51× to 3.02× | 2.51× to 3.02× | 7");
        assert_eq!(told(1), "0.44× | – | 0.43× to 0.45× | 3", "three pairs have no interval");
        assert_eq!(told(2), "– | – | – | 0");
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
