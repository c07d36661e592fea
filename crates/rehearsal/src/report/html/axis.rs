//! Where labels stand on an axis: at round numbers.

use super::super::numbers;
use super::plot::Axis;

/// How many steps a linear axis has room for.
const STEPS_MAX: i32 = 6;
/// Up to which ratio of the largest to the smallest value a linear axis still shows both.
const LINEAR_UP_TO: f64 = 20.0;
/// Up to how many powers of ten labels stand at 2 and 5 as well.
const DENSE_UP_TO: i32 = 3;

/// A scale for times, and what it makes of a time.
pub(super) struct Scale {
    pub axis: Axis,
    logarithmic: bool,
}

impl Scale {
    /// The scale that shows all of the values: logarithmic if they differ so much that a linear one would hide some.
    pub fn of(values: &[f64]) -> Self {
        let positive = values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
        let largest = positive.clone().fold(0.0, f64::max);
        let smallest = positive.fold(largest, f64::min);
        let logarithmic = largest > smallest * LINEAR_UP_TO;
        Self { axis: if logarithmic { log(smallest, largest) } else { linear(largest) }, logarithmic }
    }

    /// Where a value lies on the axis. On a logarithmic one, what is below its beginning lies there.
    pub fn place(&self, value: f64) -> f64 {
        if self.logarithmic { value.log10().max(self.axis.range.start) } else { value }
    }
}

/// From zero to a round number that is no less than the largest value.
pub(super) fn linear(largest: f64) -> Axis {
    let step = round_step(largest / f64::from(STEPS_MAX));
    let steps = (1..=STEPS_MAX).find(|steps| f64::from(*steps) * step >= largest).unwrap_or(STEPS_MAX);
    let ticks = (0..=steps).map(|index| labelled(f64::from(index) * step)).collect();
    Axis { range: 0.0..f64::from(steps) * step, ticks }
}

/// From zero to the last moment, in seconds; unlike [`linear`] it ends where the time does.
pub(super) fn time(last: f64) -> Axis {
    let mut axis = linear(last);
    axis.range.end = last;
    axis.ticks.retain(|(place, _)| *place <= last);
    axis
}

fn log(smallest: f64, largest: f64) -> Axis {
    let (from, to) = (power_of_ten(smallest, f64::floor), power_of_ten(largest, f64::ceil));
    let leading: &[f64] = if to - from <= DENSE_UP_TO { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let values: Vec<f64> =
        (from..=to).flat_map(|power| leading.iter().map(move |digit| digit * 10.0_f64.powi(power))).collect();
    let start = values.iter().copied().filter(|value| *value <= smallest).fold(10.0_f64.powi(from), f64::max);
    let end = values.iter().copied().filter(|value| *value >= largest).fold(10.0_f64.powi(to), f64::min);
    let shown = values.into_iter().filter(|value| (start..=end).contains(value));
    let ticks = shown.map(|value| (value.log10(), labelled(value).1)).collect();
    Axis { range: start.log10()..end.log10(), ticks }
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite f64 lies between -324 and 309")]
fn power_of_ten(value: f64, round: fn(f64) -> f64) -> i32 {
    round(value.log10()) as i32
}

/// The smallest of 1, 2 and 5 times a power of ten that is no less than this; one if this is no step.
fn round_step(at_least: f64) -> f64 {
    if !at_least.is_finite() || at_least <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(at_least.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= at_least);
    digit.unwrap_or(10.0) * power
}

/// A tick whose label forgets what binary fractions add, such as the end of 0.30000000000000004.
fn labelled(value: f64) -> (f64, String) {
    let exact = (value * 1e6).round() / 1e6;
    (value, if exact > 0.0 && exact < 1.0 { exact.to_string() } else { numbers::quantity(exact) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_ends_at_a_round_number() {
        assert_eq!(labels(&linear(3_187.0)), ["0", "1 000", "2 000", "3 000", "4 000"]);
        assert_eq!(labels(&linear(0.7)), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(linear(5_000.0).range, 0.0..5_000.0);
        assert_eq!(labels(&linear(0.0)), ["0", "1"]);
    }

    #[test]
    fn time_ends_where_it_ends() {
        let axis = time(59.75);
        assert_eq!((axis.range.end, labels(&axis)), (59.75, vec!["0", "10", "20", "30", "40", "50"]));
    }

    #[test]
    fn a_scale_is_logarithmic_when_it_needs_to_be() {
        let narrow = Scale::of(&[2.0, 30.0]);
        assert_eq!((labels(&narrow.axis), narrow.place(30.0)), (vec!["0", "5", "10", "15", "20", "25", "30"], 30.0));
        let wide = Scale::of(&[0.42, 30.0]);
        assert_eq!(labels(&wide.axis), ["0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!((wide.place(10.0), wide.place(0.0)), (1.0, 0.2_f64.log10()));
        let wider = Scale::of(&[0.42, 3_000.0]);
        assert_eq!(labels(&wider.axis), ["0.1", "1", "10", "100", "1 000", "10 000"]);
    }
}
