use crate::baselines::{AT_ONCE, FOR_UPDATE_CONTEND, FOR_UPDATE_HOLD, FOR_UPDATE_PAY, SATURATED};
use crate::report::model::{Baseline, Measurement};

/// Fills in how a scenario's measurements compare: each one's rate divided by the baseline's, by `phase call`. Only like is
/// compared with like:
///
/// - A pace that was prescribed says nothing about what is possible, and neither do preparations.
/// - A ceiling is that of answers, refusals included: they cross the same layers.
/// - What would be written instead of a hold or a payment is compared by successes, with callers in a closed loop.
/// - For those who want the same seats it is compared by answers, since only one succeeds, and with a crowd of the same size.
///
/// A baseline of which nothing came has no ratios.
pub fn with_ratios(mut baseline: Baseline, measurements: &[Measurement]) -> Baseline {
    let (is_like, rate) = comparison(&baseline);
    let ceiling = rate(&baseline.measurement);
    if ceiling > 0.0 {
        let alike = measurements.iter().filter(|one| one.offered_per_second.is_none() && is_like(&baseline, one));
        baseline.ratios = alike.map(|one| (format!("{} {}", one.phase, one.call), rate(one) / ceiling)).collect();
    }
    baseline
}

/// Which measurements are like a baseline, and by which rate they are compared.
type Comparison = (fn(&Baseline, &Measurement) -> bool, fn(&Measurement) -> f64);

fn comparison(baseline: &Baseline) -> Comparison {
    match baseline.name.as_str() {
        FOR_UPDATE_CONTEND => (|baseline, one| one.phase == baseline.measurement.phase, |one| one.answers_per_second),
        FOR_UPDATE_HOLD | FOR_UPDATE_PAY => (|_, one| one.phase == SATURATED, |one| one.successes_per_second),
        _ => (|_, one| one.phase == SATURATED || one.phase.ends_with(AT_ONCE), |one| one.answers_per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::{COMMITS, REDIS, TRANSPORT, at_once};
    use crate::load::{Outcome, Tally};
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// What a second brought.
    fn measured(phase: &str, successes: u64, refusals: u64) -> Measurement {
        let mut tally = Tally::default();
        for _ in 0..successes {
            tally.count(Duration::from_millis(1), Outcome::Success);
        }
        for _ in 0..refusals {
            tally.count(Duration::from_millis(1), Outcome::Refused("SEATS_TAKEN".into()));
        }
        tally.measurement(phase, "HoldSeats", None, Duration::from_secs(1))
    }

    fn ratios(name: &str, measurement: Measurement) -> Vec<(String, f64)> {
        let baseline = Baseline { name: name.into(), about: String::new(), measurement, ratios: BTreeMap::new() };
        let paced =
            Measurement { offered_per_second: Some(35.0), call: "at a pace".into(), ..measured(SATURATED, 35, 0) };
        let scenario = [
            measured("prepared", 500, 0),
            measured(SATURATED, 50, 30),
            paced,
            measured(&at_once(20), 1, 19),
            measured(&at_once(200), 1, 199),
        ];
        with_ratios(baseline, &scenario).ratios.into_iter().collect()
    }

    #[test]
    fn a_ceiling_is_compared_by_answers_with_all_that_was_not_held_back() {
        let expected = [
            ("20 at once HoldSeats".to_owned(), 0.1),
            ("200 at once HoldSeats".to_owned(), 1.0),
            ("saturated HoldSeats".to_owned(), 0.4),
        ];
        for ceiling in [TRANSPORT, REDIS, COMMITS] {
            assert_eq!(ratios(ceiling, measured(SATURATED, 150, 50)), expected);
        }
    }

    #[test]
    fn holds_and_payments_are_compared_by_successes() {
        for instead in [FOR_UPDATE_HOLD, FOR_UPDATE_PAY] {
            assert_eq!(ratios(instead, measured(SATURATED, 25, 75)), [("saturated HoldSeats".to_owned(), 2.0)]);
        }
    }

    #[test]
    fn who_contends_is_compared_by_answers_with_a_crowd_of_the_same_size() {
        assert_eq!(ratios(FOR_UPDATE_CONTEND, measured(&at_once(200), 1, 99)), [("200 at once HoldSeats".into(), 2.0)]);
        assert!(ratios(FOR_UPDATE_CONTEND, measured(&at_once(2_000), 1, 1_999)).is_empty());
    }

    #[test]
    fn nothing_compares_with_a_baseline_of_which_nothing_came() {
        assert!(ratios(TRANSPORT, measured(SATURATED, 0, 0)).is_empty());
        assert!(ratios(FOR_UPDATE_HOLD, measured(SATURATED, 0, 7)).is_empty());
    }
}
