//! The figures in the JSON report of a rehearsal, also of one that an older build wrote.

use serde::Deserialize;

/// What is read of a report. Whatever else it says is left out, so that reports of other builds can be read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChildReport {
    pub(super) scenario: String,
    pub(super) interrupted: bool,
    measurements: Vec<ChildMeasurement>,
    #[serde(default)]
    figures: Vec<ChildFigure>,
    #[serde(default)]
    proof: ChildProof,
}

#[derive(Clone, Debug, Deserialize)]
struct ChildMeasurement {
    phase: String,
    call: String,
    seconds: f64,
    answers_per_second: f64,
    #[serde(default)]
    errors: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct ChildFigure {
    name: String,
    value: f64,
    unit: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ChildProof {
    #[serde(default)]
    promises: Vec<ChildPromise>,
    #[serde(default)]
    unexamined: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct ChildPromise {
    promise: String,
    breaches: u64,
}

/// A figure by which two builds are compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FigureValue {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) amount: f64,
    /// Whether less is better.
    pub(super) less_is_better: bool,
}

impl ChildReport {
    pub(super) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// The figures by which builds are compared, the primary one first:
    ///
    /// - `join`, `hold`, `area`, `pay`, `map`: answers per second of callers in a closed loop;
    /// - `flow`: whole journeys per second, then joins;
    /// - `long-queue`: the same of `JoinQueue` in the longest queue, then the others;
    /// - `contend`, `rush`: seconds until all are answered, with most callers first;
    /// - `watch`: seconds until all know that the queue moves, then until the first are admitted, then memory per stream.
    pub(super) fn values(&self) -> Vec<FigureValue> {
        let mut values = match self.scenario.as_str() {
            "contend" | "rush" => self.seconds(|phase| phase.ends_with(" at once")),
            "watch" => self.seconds(|phase| phase.starts_with("all know that") || phase.starts_with("admitted")),
            _ => self.rates(),
        };
        match self.scenario.as_str() {
            // Most callers, and the longest queue, come last in a report.
            "contend" => values.reverse(),
            "long-queue" | "long-line" => {
                values.reverse();
                values.sort_by_key(|value| !value.name.contains("JoinQueue"));
            }
            "watch" => {
                values.sort_by_key(|value| !value.name.starts_with("all know"));
                values.extend(self.memory());
            }
            _ => {}
        }
        values
    }

    /// Promises that were broken.
    pub(super) fn broken(&self) -> Vec<String> {
        let broken = self.proof.promises.iter().filter(|promise| promise.breaches > 0);
        broken.map(|promise| promise.promise.clone()).collect()
    }

    /// What could not be examined.
    pub(super) fn unexamined(&self) -> &[String] {
        &self.proof.unexamined
    }

    fn rates(&self) -> Vec<FigureValue> {
        let saturated = self.measurements.iter().filter(|of| of.phase == "saturated");
        let rates = saturated.map(|of| FigureValue {
            name: format!("saturated {}", of.call),
            unit: "answers/s".to_owned(),
            amount: of.answers_per_second,
            less_is_better: false,
        });
        rates.collect()
    }

    /// How long these phases took, of those in which every call was answered.
    fn seconds(&self, is_it: impl Fn(&str) -> bool) -> Vec<FigureValue> {
        let phases = self.measurements.iter().filter(|of| is_it(&of.phase) && of.errors.is_empty());
        let seconds = phases.map(|of| {
            // A report holds one phase of each kind, or several slices of it whose median is a figure of its own.
            let median = self.figures.iter().find(|figure| figure.name == format!("{}: all answered after", of.phase));
            FigureValue {
                name: renamed(&of.phase),
                unit: "s".to_owned(),
                amount: median.map_or(of.seconds, |figure| figure.value),
                less_is_better: true,
            }
        });
        seconds.collect()
    }

    fn memory(&self) -> Option<FigureValue> {
        let memory = self.figures.iter().find(|figure| figure.name.starts_with("server memory per stream"))?;
        // The number of streams that were open at that moment is left out of the name: it differs from run to run.
        Some(FigureValue {
            name: "server memory per stream".to_owned(),
            unit: memory.unit.clone(),
            amount: memory.value,
            less_is_better: true,
        })
    }
}

/// A phase as builds call it now: a queue was called a line.
fn renamed(phase: &str) -> String {
    phase.replace("the line moves", "the queue moves")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report as a build wrote it before there were pairs of slices.
    const OLD_JOIN: &[u8] = include_bytes!("old_join_report.json");

    fn named(report: &ChildReport) -> Vec<(String, f64, bool)> {
        report
            .values()
            .into_iter()
            .map(|of| (format!("{} {}", of.name, of.unit), of.amount, of.less_is_better))
            .collect()
    }

    #[test]
    fn the_report_of_an_older_build_is_read() {
        let report = ChildReport::parse(OLD_JOIN).expect("a report");
        assert_eq!((report.scenario.as_str(), report.interrupted), ("join", false));
        let values = report.values();
        assert_eq!(values.len(), 1, "{values:?}");
        assert_eq!((values[0].name.as_str(), values[0].unit.as_str()), ("saturated JoinQueue", "answers/s"));
        assert!(values[0].amount > 1_000.0 && !values[0].less_is_better, "{values:?}");
        assert!(report.broken().is_empty() && report.unexamined().is_empty());
    }

    fn report(scenario: &str, measurements: &[(&str, &str, f64)], figures: &[(&str, f64, &str)]) -> ChildReport {
        let measurements: Vec<_> = measurements
            .iter()
            .map(|(phase, call, seconds)| {
                serde_json::json!({ "phase": phase, "call": call, "seconds": seconds, "answers_per_second": 100.0 * seconds })
            })
            .collect();
        let figures: Vec<_> = figures
            .iter()
            .map(|(name, value, unit)| serde_json::json!({ "name": name, "value": value, "unit": unit }))
            .collect();
        let report = serde_json::json!({
            "scenario": scenario, "interrupted": false, "measurements": measurements, "figures": figures,
            "proof": { "promises": [{ "promise": "one_winner", "breaches": 1 }], "unexamined": ["performance 7"] },
        });
        ChildReport::parse(report.to_string().as_bytes()).expect("a report")
    }

    #[test]
    fn callers_at_once_are_compared_by_the_seconds_until_all_are_answered() {
        let phases = [("1000 at once", "HoldSeats", 0.5), ("20000 at once", "HoldSeats", 8.0)];
        let of = report("contend", &phases, &[("20000 at once: all answered after", 2.0, "s")]);
        let expected = [("20000 at once s".to_owned(), 2.0, true), ("1000 at once s".to_owned(), 0.5, true)];
        assert_eq!(named(&of), expected, "the median of several slices is preferred to their sum");
        assert_eq!((of.broken(), of.unexamined().len()), (vec!["one_winner".to_owned()], 1));
    }

    #[test]
    fn streams_are_compared_by_the_seconds_until_all_know_in_the_words_of_both_builds() {
        for moves in ["the line moves", "the queue moves"] {
            let (first, all) = (format!("admitted when {moves}"), format!("all know that {moves}"));
            let phases = [("joined", "JoinQueue", 9.0), (&first, "WatchPosition", 0.1), (&all, "WatchPosition", 0.3)];
            let of = report("watch", &phases, &[("server memory per stream, of 9998", 5.5, "KiB")]);
            let expected = [
                ("all know that the queue moves s".to_owned(), 0.3, true),
                ("admitted when the queue moves s".to_owned(), 0.1, true),
                ("server memory per stream KiB".to_owned(), 5.5, true),
            ];
            assert_eq!(named(&of), expected);
        }
    }

    #[test]
    fn a_long_queue_is_compared_by_joining_the_longest() {
        for scenario in ["long-line", "long-queue"] {
            let phases = [
                ("saturated", "GetPosition, 1000 wait", 5.0),
                ("saturated", "JoinQueue, 1000 wait", 6.0),
                ("saturated", "GetPosition, 9000 wait", 7.0),
                ("saturated", "JoinQueue, 9000 wait", 8.0),
            ];
            let values = report(scenario, &phases, &[]).values();
            assert_eq!((values[0].name.as_str(), values[0].amount), ("saturated JoinQueue, 9000 wait", 800.0));
            assert_eq!(values.len(), 4);
        }
    }
}
