//! Which seats are the best: near the focal point, near the stage, or in the uppermost row.
#![expect(clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use encore_domain::booking::best_available::{Group, SeatOrder, SeatSearch, sections_by_preference};
use encore_domain::booking::seat_state::all_free;
use encore_domain::catalog::drawing::{Drawing, Outline, Point, Shape, Size};
use encore_domain::catalog::seat_chart::{FocalPoints, Grade, PlannedRow, PlannedSeat, PlannedSection, SeatChart};

fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A section of rows of five seats, each row given by its label and its height in the drawing.
fn section(name: &str, left: f64, rows: &[(&str, f64)]) -> PlannedSection {
    let seat = |label: &str, y: f64, number: u32| PlannedSeat {
        id: format!("{name}-{label}-{number}"),
        number: number.to_string(),
        grade: 0,
        x: left + f64::from(number),
        y,
        accessible: false,
    };
    let row = |(label, y): &(&str, f64)| PlannedRow {
        label: (*label).to_owned(),
        seats: (1..=5).map(|number| seat(label, *y, number)).collect(),
    };
    PlannedSection { name: name.to_owned(), rows: rows.iter().map(row).collect(), general_admission: None }
}

fn chart(sections: Vec<PlannedSection>) -> SeatChart {
    SeatChart::lay_out(sections, vec![Grade { name: "All".to_owned(), color: String::new() }])
}

fn with_stage(chart: SeatChart, position: Point) -> SeatChart {
    let stage = Shape {
        outline: Outline::Rectangle(Size { width: 2.0, height: 2.0 }),
        position: at(position.x - 1.0, position.y - 1.0),
        rotation: 0.0,
        color: String::new(),
        border_color: String::new(),
        text: None,
        is_stage: true,
    };
    chart.with_drawing(Drawing { size: None, shapes: vec![stage] })
}

/// The best seats of an empty venue.
fn best(chart: &SeatChart, count: usize) -> Vec<String> {
    let sections = sections_by_preference(chart);
    let order = Arc::new(SeatOrder::new(chart, &sections, Group { count, accessible: 0 }, |_| true));
    let chosen = SeatSearch { order, count, allow_split: false }.choose(&all_free(chart)).expect("free seats");
    chosen.into_iter().filter_map(|slot| chart.id_at(slot)).collect()
}

#[test]
fn the_front_row_is_the_uppermost_wherever_the_file_lists_it() {
    let rows = [("C", 30.0), ("B", 20.0), ("A", 10.0)];
    assert_eq!(best(&chart(vec![section("S", 0.0, &rows)]), 1), ["S-A-3"]);
    let rows = [("A", 10.0), ("B", 20.0), ("C", 30.0)];
    assert_eq!(best(&chart(vec![section("S", 0.0, &rows)]), 1), ["S-A-3"]);
}

#[test]
fn without_coordinates_the_front_row_is_the_first_of_the_file() {
    let mut only = section("S", 0.0, &[("B", 0.0), ("A", 0.0)]);
    for seat in only.rows.iter_mut().flat_map(|row| &mut row.seats) {
        seat.x = 0.0;
    }
    assert_eq!(best(&chart(vec![only]), 2), ["S-B-1", "S-B-2"]);
}

#[test]
fn the_best_seats_are_near_the_stage() {
    let rows = [("A", 10.0), ("B", 20.0), ("C", 30.0)];
    let below = with_stage(chart(vec![section("S", 0.0, &rows)]), at(5.0, 50.0));
    assert_eq!(best(&below, 1), ["S-C-5"]);
}

#[test]
fn the_focal_point_of_the_section_comes_before_that_of_the_plan_and_that_before_the_stage() {
    let rows = [("A", 10.0), ("B", 20.0), ("C", 30.0)];
    let staged = with_stage(chart(vec![section("S", 0.0, &rows)]), at(3.0, 50.0));
    let of_plan = FocalPoints { plan: Some(at(1.0, 9.0)), sections: BTreeMap::new() };
    let focused = staged.clone().with_focal_points(of_plan.clone());
    assert_eq!(best(&focused, 1), ["S-A-1"]);
    let of_section = FocalPoints { sections: BTreeMap::from([(0, at(5.0, 20.0))]), ..of_plan };
    assert_eq!(best(&staged.with_focal_points(of_section), 1), ["S-B-5"]);
}

#[test]
fn sections_near_the_focal_point_come_first_and_keep_the_order_of_the_plan_without_one() {
    let rows = [("A", 10.0)];
    let three =
        chart(["L", "M", "R"].into_iter().zip([0.0, 10.0, 20.0]).map(|(name, x)| section(name, x, &rows)).collect());
    assert_eq!(sections_by_preference(&three), [0, 1, 2]);
    assert_eq!(sections_by_preference(&with_stage(three.clone(), at(13.0, 0.0))), [1, 0, 2]);
    let right = FocalPoints { plan: Some(at(30.0, 0.0)), sections: BTreeMap::new() };
    let focused = three.with_focal_points(right);
    assert_eq!((sections_by_preference(&focused), best(&focused, 1)), (vec![2, 1, 0], vec!["R-A-5".to_owned()]));
}
