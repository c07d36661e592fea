//! The version of a seat chart: the same on every instance for the same content, and another for any other.

use std::fmt::Write;

use encore_domain::catalog::area::Area;
use sha2::{Digest, Sha256};

use crate::contexts::PerformanceContext;

/// How many bytes of the hash are told: enough that no two charts share them.
const REPORT_BYTES: usize = 12;

/// Hashes all that is told of a chart.
pub(crate) fn chart_version(context: &PerformanceContext) -> String {
    let (chart, prices) = (&context.venue.chart, &context.performance.prices);
    let mut hash = Sha256::new();
    let mut tell = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    tell(&format!("{prices:?}"));
    chart.grades().iter().for_each(|grade| tell(&grade.name));
    chart.sections().iter().for_each(|section| tell(&section.name));
    for row in chart.rows() {
        tell(&format!("{}", row.section));
        tell(&row.label);
    }
    let mut numbers = String::new();
    for seat in chart.seats() {
        tell(&seat.id);
        tell(&seat.number);
        numbers.clear();
        // Writing to a string does not fail.
        let _ = write!(numbers, "{} {} {} {} {}", seat.slot.0, seat.row, seat.grade, seat.x, seat.y);
        if seat.accessible {
            numbers.push_str(" accessible");
        }
        tell(&numbers);
    }
    for area in chart.areas() {
        let Area { section, grade, first, capacity } = area;
        tell(&format!("{section} {grade} {} {capacity}", first.0));
    }
    hash.finalize()[..REPORT_BYTES].iter().fold(String::new(), |mut told, byte| {
        let _ = write!(told, "{byte:02x}");
        told
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use encore_domain::catalog::seat_chart::{Seat, SeatChart};
    use encore_domain::catalog::{Performance, Venue};
    use encore_port_tests::fixtures;

    use super::*;

    fn version(performance: &Performance, chart: SeatChart) -> String {
        let venue = Venue { chart, ..fixtures::venue(fixtures::small_chart()) };
        let (concert, performance) = (fixtures::concert(), performance.clone());
        chart_version(&PerformanceContext {
            performance: performance.into(),
            concert: concert.into(),
            venue: Arc::new(venue),
        })
    }

    fn altered(alter: impl FnOnce(&mut Seat)) -> SeatChart {
        let chart = fixtures::small_chart();
        let mut seats = chart.seats().to_vec();
        alter(&mut seats[7]);
        let (sections, rows, grades) = (chart.sections().to_vec(), chart.rows().to_vec(), chart.grades().to_vec());
        SeatChart::from_parts(sections, rows, grades, seats, vec![])
    }

    #[test]
    fn it_is_of_all_that_is_told() {
        let performance = fixtures::performance(fixtures::id(), fixtures::id());
        let same = version(&performance, fixtures::small_chart());
        assert_eq!(version(&performance, altered(|_| {})), same);
        let others = [
            version(&performance, altered(|seat| seat.id.push('x'))),
            version(&performance, altered(|seat| seat.number.push('x'))),
            version(&performance, altered(|seat| seat.grade = 1)),
            version(&performance, altered(|seat| seat.x += 0.01)),
            version(&performance, altered(|seat| seat.row = 1)),
            version(&performance, altered(|seat| seat.accessible = true)),
        ];
        assert!(others.iter().all(|other| *other != same), "{others:?}");
        let [floor, larger] = [300, 301].map(|floor| version(&performance, fixtures::festival_chart(floor)));
        assert!(floor != larger && floor != same, "{floor} {larger}");
        let mut dearer = performance.clone();
        dearer.prices.minor_by_grade[1] += 1;
        assert_ne!(version(&dearer, fixtures::small_chart()), same);
    }
}
