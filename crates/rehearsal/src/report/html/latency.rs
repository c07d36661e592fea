//! How long answers took: a line per call over the percentiles, a plot per phase.

use super::super::model::{Measurement, Report};
use super::axis::Scale;
use super::palette::{HUES, Hue};
use super::plot::{Axis, Curve, Plot, Points};

/// Percentiles with a label. Each further nine takes as much room as the one before, since it is of as much interest.
const PERCENTILES: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
/// Where the axis ends, in nines: the slowest answer has infinitely many of them and is drawn half a nine after the last.
const NINES_MAX: f64 = 4.5;

/// A plot for each phase in which anything was answered, more if a phase has more calls than there are colours.
pub(super) fn plots(report: &Report) -> Vec<Plot> {
    let mut phases: Vec<&str> = vec![];
    for measurement in &report.measurements {
        if !phases.contains(&measurement.phase.as_str()) {
            phases.push(&measurement.phase);
        }
    }
    let of_phase = |phase: &str| -> Vec<&Measurement> {
        report.measurements.iter().filter(|of| of.phase == phase && !curve(of).is_empty()).collect()
    };
    phases
        .iter()
        .flat_map(|phase| of_phase(phase).chunks(HUES).map(|calls| plot(phase, calls)).collect::<Vec<_>>())
        .collect()
}

fn plot(phase: &str, calls: &[&Measurement]) -> Plot {
    let times: Vec<f64> = calls.iter().flat_map(|call| curve(call)).map(|(_, millis)| millis).collect();
    let scale = Scale::of(&times);
    let lines = calls
        .iter()
        .enumerate()
        .map(|(index, call)| Curve {
            name: call.call.clone(),
            hue: Hue::of(index),
            points: curve(call).iter().map(|(percentile, millis)| (nines(*percentile), scale.place(*millis))).collect(),
        })
        .collect();
    let mut ticks: Vec<_> = PERCENTILES.map(|percentile| (nines(percentile), percentile.to_string())).into();
    ticks.push((NINES_MAX, "max".to_owned()));
    let x = Axis { range: 0.0..NINES_MAX, ticks };
    Plot {
        title: format!("Answer times, {phase}"),
        axes: "milliseconds, by percentile of answers",
        x,
        y: scale.axis,
        lines,
        marks: Vec::new(),
    }
}

/// The drawable part of a measurement's distribution.
fn curve(measurement: &Measurement) -> Points {
    let curve = measurement.latency.as_ref().map_or(&[][..], |latency| &latency.curve);
    curve.iter().copied().filter(|(percentile, millis)| percentile.is_finite() && millis.is_finite()).collect()
}

/// How many nines a percentile has: 1 for 90, 2 for 99, and 0.3 for 50.
fn nines(percentile: f64) -> f64 {
    let missing = (1.0 - percentile / 100.0).clamp(0.0, 1.0);
    (-missing.log10()).clamp(0.0, NINES_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn each_nine_takes_the_same_room() {
        let places = [0.0, 90.0, 99.0, 99.9, 100.0].map(nines);
        for (place, expected) in places.into_iter().zip([0.0, 1.0, 2.0, 3.0, NINES_MAX]) {
            assert!((place - expected).abs() < 1e-9, "{place} is not {expected}");
        }
    }

    #[test]
    fn a_phase_has_a_plot_with_the_calls_that_were_answered() {
        let plots = plots(&fixture::journey());
        let told: Vec<_> = plots
            .iter()
            .map(|plot| (plot.title.as_str(), plot.lines.iter().map(|line| line.name.as_str()).collect()))
            .collect();
        let saturated = vec!["JoinQueue", "HoldSeats", "PayReservation"];
        assert_eq!(told, [("Answer times, saturated", saturated), ("Answer times, paced", vec!["HoldSeats"])]);
    }

    #[test]
    fn no_two_lines_of_a_plot_share_a_colour() {
        let mut report = fixture::journey();
        report.measurements = (0..=HUES).map(|_| report.measurements[0].clone()).collect();
        let lines: Vec<_> = plots(&report).iter().map(|plot| plot.lines.len()).collect();
        assert_eq!(lines, [HUES, 1]);
    }
}
