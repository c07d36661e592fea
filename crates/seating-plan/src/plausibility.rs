//! Looks at a chart that was read for what its author is unlikely to have meant.

use std::collections::HashMap;

use encore_domain::catalog::drawing::Point;
use encore_domain::catalog::seat_chart::{Seat, SeatChart};

use crate::path::Path;
use crate::warning::Warnings;

/// Adds the warnings of a chart.
pub(crate) fn check(chart: &SeatChart, warnings: &mut Warnings<'_>) {
    repeated_labels(chart, warnings);
    sections_far_apart(chart, warnings);
}

/// Two seats with the same section, row and number have tickets with the same text. Sections are told apart by their names.
fn repeated_labels(chart: &SeatChart, warnings: &mut Warnings<'_>) {
    let mut first_by_label: HashMap<(&str, &str, &str), &Seat> = HashMap::with_capacity(chart.seats().len());
    let (mut repeated, mut example) = (0, None);
    for seat in chart.seats() {
        let label = (chart.section_of(seat).name.as_str(), chart.row_of(seat).label.as_str(), seat.number.as_str());
        let first = *first_by_label.entry(label).or_insert(seat);
        if first.id != seat.id {
            repeated += 1;
            example.get_or_insert((first, seat));
        }
    }
    if let Some((first, second)) = example {
        let (section, label) = (&chart.section_of(first).name, chart.label_of(first));
        let text = format!(
            "has {repeated} seats whose section, row and number are those of another seat, so that their tickets read the same; \
             the first are {:?} and {:?}, both {label} in {section}",
            first.id, second.id
        );
        warnings.add(&Path::Root.key("zones"), text);
    }
}

/// The rectangle around the seats of a section.
#[derive(Clone, Copy)]
struct Bounds {
    from: Point,
    to: Point,
}

impl Bounds {
    fn of<'s>(seats: impl Iterator<Item = &'s Seat>) -> Option<Self> {
        seats.map(|seat| Self { from: seat.position(), to: seat.position() }).reduce(|a, b| Self {
            from: Point { x: a.from.x.min(b.from.x), y: a.from.y.min(b.from.y) },
            to: Point { x: a.to.x.max(b.to.x), y: a.to.y.max(b.to.y) },
        })
    }

    fn diagonal(&self) -> f64 {
        self.from.distance(self.to)
    }

    /// How far apart two rectangles are; 0 if they touch.
    fn distance(&self, other: &Self) -> f64 {
        let gap = |from: f64, to: f64| (from - to).max(0.0);
        let x = gap(self.from.x, other.to.x).max(gap(other.from.x, self.to.x));
        let y = gap(self.from.y, other.to.y).max(gap(other.from.y, self.to.y));
        x.hypot(y)
    }
}

/// A section that is farther from every other section than the largest of them is long was probably drawn beside the plan. Seats
/// that are "near" across such a gap are not.
fn sections_far_apart(chart: &SeatChart, warnings: &mut Warnings<'_>) {
    let sections = chart.seats().chunk_by(|a, b| chart.row_of(a).section == chart.row_of(b).section);
    let sections: Vec<(&str, Bounds)> = sections
        .filter_map(|seats| Some((chart.section_of(&seats[0]).name.as_str(), Bounds::of(seats.iter())?)))
        .collect();
    let largest = sections.iter().map(|(_, bounds)| bounds.diagonal()).fold(0.0, f64::max);
    for (at, (name, bounds)) in sections.iter().enumerate() {
        let others = sections.iter().enumerate().filter(|(other, _)| *other != at);
        let nearest = others.map(|(_, (_, other))| bounds.distance(other)).reduce(f64::min);
        if let Some(nearest) = nearest.filter(|nearest| largest > 0.0 && *nearest > largest) {
            let text = format!("has the section {name:?} {nearest:.0} pixels from the nearest other section");
            warnings.add(&Path::Root.key("zones"), text);
        }
    }
}
