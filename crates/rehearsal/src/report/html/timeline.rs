//! The sale as it went: lines over time.

use super::super::model::{Mark, Sample};
use super::super::numbers::real;
use super::axis;
use super::palette::Hue;
use super::plot::{Curve, Plot, Points};

/// A field of a sample.
type Field = fn(&Sample) -> u64;

/// The plots of a sale with its marks; none if there are not two moments to draw a line between.
pub(super) fn plots(timeline: &[Sample], marks: &[Mark]) -> Vec<Plot> {
    if timeline.len() < 2 {
        return vec![];
    }
    let queue: [(_, _, Field); 2] =
        [("waiting", Hue::BLUE, |at| at.waiting), ("admitted so far", Hue::ORANGE, |at| at.admitted)];
    let inside: [(_, _, Field); 2] =
        [("inside", Hue::BLUE, |at| at.inside), ("with an unpaid hold", Hue::ORANGE, |at| at.holding)];
    let seats: [(_, _, Field); 2] =
        [("sold", Hue::BLUE, |at| at.seats_sold), ("left", Hue::ORANGE, |at| at.seats_left)];
    let rates: [(_, _, Field); 3] = [
        ("answers", Hue::BLUE, |at| at.answers),
        ("refusals among them", Hue::ORANGE, |at| at.refused),
        ("errors", Hue::RED, |at| at.errors),
    ];
    vec![
        plot("The queue", "fans, by seconds since the beginning", (timeline, marks), &queue, counts),
        plot("Inside", "fans, by seconds since the beginning", (timeline, marks), &inside, counts),
        plot("Seats", "seats, by seconds since the beginning", (timeline, marks), &seats, counts),
        plot("Throughput", "per second, by seconds since the beginning", (timeline, marks), &rates, per_second),
    ]
}

fn plot(
    title: &str,
    axes: &'static str,
    (timeline, marks): (&[Sample], &[Mark]),
    fields: &[(&str, Hue, Field)],
    points: fn(&[Sample], Field) -> Points,
) -> Plot {
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, hue, field)| Curve { name: (*name).to_owned(), hue: *hue, points: points(timeline, *field) })
        .collect();
    let largest = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let last = timeline.iter().map(|sample| sample.at).fold(0.0, f64::max);
    Plot { title: title.to_owned(), axes, x: axis::time(last), y: axis::linear(largest), lines, marks: marks.to_vec() }
}

fn counts(timeline: &[Sample], field: Field) -> Points {
    timeline.iter().map(|sample| (sample.at, real(field(sample)))).collect()
}

/// How fast a count rose from each sample to the next. A pair of samples between which no time passed has no rate.
fn per_second(timeline: &[Sample], field: Field) -> Points {
    timeline
        .windows(2)
        .filter_map(|pair| {
            let (from, to) = (pair.first()?, pair.last()?);
            let seconds = to.at - from.at;
            (seconds > 0.0).then(|| (to.at, real(field(to).saturating_sub(field(from))) / seconds))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_taken_between_samples_and_not_where_no_time_passed() {
        let samples = [(0.0, 10), (0.5, 60), (0.5, 70), (1.5, 170), (2.5, 160)].map(|(at, answers)| Sample {
            at,
            answers,
            ..Sample::default()
        });
        assert_eq!(per_second(&samples, |sample| sample.answers), [(0.5, 100.0), (1.5, 100.0), (2.5, 0.0)]);
    }

    #[test]
    fn one_moment_is_no_line() {
        assert!(plots(&[Sample::default()], &[]).is_empty());
        assert_eq!(plots(&[Sample::default(); 2], &[]).len(), 4);
    }
}
