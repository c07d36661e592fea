use crate::baselines::FOR_UPDATE_CONTEND;
use crate::report::model::{Baseline, Measurement};

/// Fills in how a scenario's measurements compare: each one's rate divided by the baseline's, by `phase call`. What is
/// compared are successes, and for those who contend for the same seats answers, since there only one succeeds. A baseline
/// of which nothing came has no ratios.
pub fn with_ratios(mut baseline: Baseline, measurements: &[Measurement]) -> Baseline {
    let contended = baseline.name == FOR_UPDATE_CONTEND;
    let rate = |measured: &Measurement| {
        if contended { measured.answers_per_second } else { measured.successes_per_second }
    };
    let ceiling = rate(&baseline.measurement);
    if ceiling > 0.0 {
        let ratio = |one: &Measurement| (format!("{} {}", one.phase, one.call), rate(one) / ceiling);
        baseline.ratios = measurements.iter().map(ratio).collect();
    }
    baseline
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::TRANSPORT;
    use crate::load::{Outcome, Tally};
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// What a second brought.
    fn measured(phase: &str, call: &str, successes: u64, refusals: u64) -> Measurement {
        let mut tally = Tally::default();
        for _ in 0..successes {
            tally.count(Duration::from_millis(1), Outcome::Success);
        }
        for _ in 0..refusals {
            tally.count(Duration::from_millis(1), Outcome::Refused("SEATS_TAKEN".into()));
        }
        tally.measurement(phase, call, None, Duration::from_secs(1))
    }

    fn ratios(name: &str, baseline: Measurement) -> BTreeMap<String, f64> {
        let baseline =
            Baseline { name: name.into(), about: String::new(), measurement: baseline, ratios: BTreeMap::new() };
        let scenario = [measured("saturated", "HoldSeats", 50, 30), measured("at once", "HoldSeats", 1, 199)];
        with_ratios(baseline, &scenario).ratios
    }

    fn expected(saturated: f64, at_once: f64) -> BTreeMap<String, f64> {
        BTreeMap::from([("saturated HoldSeats".into(), saturated), ("at once HoldSeats".into(), at_once)])
    }

    #[test]
    fn successes_are_compared_with_successes() {
        assert_eq!(ratios(TRANSPORT, measured("saturated", "Check", 100, 100)), expected(0.5, 0.01));
    }

    #[test]
    fn who_contends_is_compared_by_answers() {
        assert_eq!(ratios(FOR_UPDATE_CONTEND, measured("at once", "hold", 1, 99)), expected(0.8, 2.0));
    }

    #[test]
    fn nothing_compares_with_a_baseline_of_which_nothing_came() {
        assert!(ratios(TRANSPORT, measured("saturated", "Check", 0, 7)).is_empty());
    }
}
