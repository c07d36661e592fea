//! The seat chart of a venue: the constant data of its seats, and the layout of their live state.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::catalog::area::{Area, unit_id, unit_slot};
use crate::catalog::drawing::{Drawing, Point};
use crate::catalog::row_layout::{aisles, order_along_row};
pub use crate::catalog::slot::Slot;
use crate::text::normalized;

/// The most seats and units of one venue. The largest stadiums fit, and the state of a performance stays near 100 KB.
pub const SEATS_PER_VENUE_MAX: usize = 100_000;
/// The most sections of one venue.
pub const SECTIONS_PER_VENUE_MAX: usize = 1_000;
/// The most grades of one venue.
pub const GRADES_PER_VENUE_MAX: usize = 100;
/// The longest name of a seat, row, section or grade, in bytes.
pub const CHART_NAME_MAX_LEN: usize = 64;

/// A name of a seat, row, section or grade, [`normalized`]. `None` if it is empty or longer than [`CHART_NAME_MAX_LEN`].
pub fn chart_name(text: &str) -> Option<Cow<'_, str>> {
    normalized(text).filter(|name| (1..=CHART_NAME_MAX_LEN).contains(&name.len()))
}

/// A price class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grade {
    /// Unique in the venue.
    pub name: String,
    /// How editors draw it, such as `#7f4a91`; empty if the plan does not say.
    pub color: String,
}

/// A part of the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Shown to people.
    pub name: String,
}

/// A row of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into the chart's sections.
    pub section: u16,
    /// Shown to people, such as `A`.
    pub label: String,
}

/// A seat.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    /// Unique in the venue: the `seat_guid` of the plan.
    pub id: String,
    /// Its index in the state of a performance.
    pub slot: Slot,
    /// Index into the chart's rows.
    pub row: u32,
    /// Its number in the row, such as `12`.
    pub number: String,
    /// Index into the chart's grades.
    pub grade: u16,
    /// To the right, in the plan's pixels.
    pub x: f64,
    /// Downwards, in the plan's pixels.
    pub y: f64,
    /// Whether it is reserved for fans who need it: a wheelchair space, or a seat beside one, as the plan says.
    pub accessible: bool,
}

impl Seat {
    /// Where it stands.
    pub fn position(&self) -> Point {
        Point { x: self.x, y: self.y }
    }
}

/// The points to which the best seats are near. Where there is none, the plan decides; see
/// [`best_available`](crate::booking::best_available).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FocalPoints {
    /// Of the whole plan.
    pub plan: Option<Point>,
    /// Of sections that have one of their own, by index.
    pub sections: BTreeMap<u16, Point>,
}

/// A seat of a plan, before it has a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedSeat {
    /// See [`Seat::id`].
    pub id: String,
    /// See [`Seat::number`].
    pub number: String,
    /// See [`Seat::grade`].
    pub grade: u16,
    /// See [`Seat::x`].
    pub x: f64,
    /// See [`Seat::y`].
    pub y: f64,
    /// See [`Seat::accessible`].
    pub accessible: bool,
}

/// A row of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRow {
    /// See [`Row::label`].
    pub label: String,
    /// In the order of the plan.
    pub seats: Vec<PlannedSeat>,
}

impl PlannedRow {
    /// Whether the plan lists the seats in another order than that in which people sit.
    pub fn is_out_of_order(&self) -> bool {
        !order_along_row(&self.positions()).is_sorted()
    }

    fn positions(&self) -> Vec<Point> {
        self.seats.iter().map(|seat| Point { x: seat.x, y: seat.y }).collect()
    }

    /// With its seats in the order in which people sit.
    fn in_order(self) -> Self {
        let order = order_along_row(&self.positions());
        let mut seats: Vec<Option<PlannedSeat>> = self.seats.into_iter().map(Some).collect();
        Self { label: self.label, seats: order.into_iter().filter_map(|seat| seats[seat].take()).collect() }
    }
}

/// A section of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedSection {
    /// See [`Section::name`].
    pub name: String,
    /// In the order of the plan; none in a general admission area.
    pub rows: Vec<PlannedRow>,
    /// What it is if it is a general admission area.
    pub general_admission: Option<PlannedArea>,
}

/// A general admission area of a plan, before it has slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedArea {
    /// See [`Area::capacity`].
    pub capacity: u32,
    /// See [`Area::grade`].
    pub grade: u16,
}

/// All seats and general admission areas of a venue, with their slots: the areas' follow those of the seats.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatChart {
    sections: Vec<Section>,
    rows: Vec<Row>,
    grades: Vec<Grade>,
    seats: Vec<Seat>,
    areas: Vec<Area>,
    focal_points: FocalPoints,
    drawing: Drawing,
    accessible: Vec<Slot>,
    by_id: HashMap<String, usize>,
    by_slot: HashMap<Slot, usize>,
    seat_slots: u32,
    slots: u32,
}

impl SeatChart {
    /// Gives every seat and every unit of a plan its slot. Seat ids are unique and grades exist: the reader of the plan has
    /// checked.
    pub fn lay_out(plan: Vec<PlannedSection>, grades: Vec<Grade>) -> Self {
        let mut sections = Vec::with_capacity(plan.len());
        let mut rows = Vec::new();
        let (mut seats, mut general_admission) = (Vec::new(), Vec::new());
        let mut next_slot = 0;
        for (section, planned) in (0..).zip(plan) {
            sections.push(Section { name: planned.name });
            general_admission.extend(planned.general_admission.map(|planned| (section, planned)));
            let planned_rows: Vec<PlannedRow> = planned.rows.into_iter().map(PlannedRow::in_order).collect();
            let aisles = aisles(&planned_rows.iter().map(PlannedRow::positions).collect::<Vec<_>>());
            for (planned_row, aisles) in planned_rows.into_iter().zip(aisles) {
                let row = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                rows.push(Row { section, label: planned_row.label });
                for (seat, aisle_before) in planned_row.seats.into_iter().zip(aisles) {
                    next_slot += u32::from(aisle_before);
                    let PlannedSeat { id, number, grade, x, y, accessible } = seat;
                    seats.push(Seat { id, slot: Slot(next_slot), row, number, grade, x, y, accessible });
                    next_slot += 1;
                }
                next_slot += 1;
            }
        }
        let area = |(section, PlannedArea { capacity, grade })| {
            let first = Slot(next_slot);
            next_slot += capacity + 1;
            Area { section, grade, first, capacity }
        };
        let areas = general_admission.into_iter().map(area).collect();
        Self::from_parts(sections, rows, grades, seats, areas)
    }

    /// Puts a chart together from seats and areas that have their slots already, each in the order of the slots.
    pub fn from_parts(
        sections: Vec<Section>,
        rows: Vec<Row>,
        grades: Vec<Grade>,
        seats: Vec<Seat>,
        areas: Vec<Area>,
    ) -> Self {
        let by_id = seats.iter().enumerate().map(|(at, seat)| (seat.id.clone(), at)).collect();
        let by_slot = seats.iter().enumerate().map(|(at, seat)| (seat.slot, at)).collect();
        let accessible = seats.iter().filter(|seat| seat.accessible).map(|seat| seat.slot).collect();
        let seat_slots = seats.last().map_or(0, |seat| seat.slot.0 + 1);
        let slots = areas.last().map_or(seat_slots, |area| area.slots().end);
        let (focal_points, drawing) = (FocalPoints::default(), Drawing::default());
        Self {
            sections,
            rows,
            grades,
            seats,
            areas,
            focal_points,
            drawing,
            accessible,
            by_id,
            by_slot,
            seat_slots,
            slots,
        }
    }

    /// The same chart with these focal points.
    pub fn with_focal_points(self, focal_points: FocalPoints) -> Self {
        Self { focal_points, ..self }
    }

    /// The same chart with this drawing.
    pub fn with_drawing(self, drawing: Drawing) -> Self {
        Self { drawing, ..self }
    }

    /// In the order of the plan.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// In the order of the plan, section by section.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// In the order of the plan.
    pub fn grades(&self) -> &[Grade] {
        &self.grades
    }

    /// In the order of their slots.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The slots of its accessible seats, in order.
    pub fn accessible_slots(&self) -> &[Slot] {
        &self.accessible
    }

    /// In the order of their slots, and of the plan.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// The points to which the best seats are near.
    pub fn focal_points(&self) -> &FocalPoints {
        &self.focal_points
    }

    /// What is drawn beside the seats.
    pub fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    /// The length of a state: one more than the last slot.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// One more than the last slot of a seat.
    pub fn seat_slots(&self) -> u32 {
        self.seat_slots
    }

    /// The number of its seats and units.
    pub fn capacity(&self) -> u32 {
        let seats = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
        self.areas.iter().fold(seats, |sum, area| sum.saturating_add(area.capacity))
    }

    /// The seat of this id.
    pub fn seat(&self, id: &str) -> Option<&Seat> {
        self.by_id.get(id).map(|at| &self.seats[*at])
    }

    /// The seat at this slot; none between rows.
    pub fn seat_at(&self, slot: Slot) -> Option<&Seat> {
        self.by_slot.get(&slot).map(|at| &self.seats[*at])
    }

    /// The index among the seats of the seat at this slot; none between rows.
    pub fn place_of(&self, slot: Slot) -> Option<usize> {
        self.by_slot.get(&slot).copied()
    }

    /// The index of the area of which the unit at this slot is; none for seats, and between them.
    pub fn area_index(&self, slot: Slot) -> Option<usize> {
        let index = self.areas.partition_point(|area| area.first <= slot).checked_sub(1)?;
        self.areas[index].slots().contains(&slot.0).then_some(index)
    }

    /// The area of which the unit at this slot is; none for seats, and between them.
    pub fn area_at(&self, slot: Slot) -> Option<&Area> {
        self.area_index(slot).map(|index| &self.areas[index])
    }

    /// The area that is a section of this name.
    pub fn area_named(&self, name: &str) -> Option<&Area> {
        self.areas.iter().find(|area| self.name_of(area) == name)
    }

    /// The name of an area of this chart.
    pub fn name_of(&self, area: &Area) -> &str {
        &self.sections[usize::from(area.section)].name
    }

    /// The slot of the unit of this id.
    pub fn unit(&self, id: &str) -> Option<Slot> {
        unit_slot(id).filter(|slot| self.area_index(*slot).is_some() && !self.by_id.contains_key(id))
    }

    /// The slot of the seat or unit of this id.
    pub fn slot_of(&self, id: &str) -> Option<Slot> {
        self.seat(id).map(|seat| seat.slot).or_else(|| self.unit(id))
    }

    /// The id of the seat or unit at this slot; none where there is neither.
    pub fn id_at(&self, slot: Slot) -> Option<String> {
        self.seat_at(slot).map(|seat| seat.id.clone()).or_else(|| self.area_at(slot).map(|_| unit_id(slot)))
    }

    /// The index of the grade of the seat or unit at this slot; none where there is neither.
    pub fn grade_at(&self, slot: Slot) -> Option<u16> {
        self.seat_at(slot).map(|seat| seat.grade).or_else(|| self.area_at(slot).map(|area| area.grade))
    }

    /// The row of a seat of this chart.
    pub fn row_of(&self, seat: &Seat) -> &Row {
        &self.rows[seat.row as usize]
    }

    /// The section of a seat of this chart.
    pub fn section_of(&self, seat: &Seat) -> &Section {
        &self.sections[usize::from(self.row_of(seat).section)]
    }

    /// The grade of a seat of this chart.
    pub fn grade_of(&self, seat: &Seat) -> &Grade {
        &self.grades[usize::from(seat.grade)]
    }

    /// The label that people read: row and number, such as `A-12`.
    pub fn label_of(&self, seat: &Seat) -> String {
        format!("{}-{}", self.row_of(seat).label, seat.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, xs: &[f64]) -> PlannedRow {
        let seat = |(n, x): (usize, &f64)| PlannedSeat {
            id: format!("{label}{}", n + 1),
            number: (n + 1).to_string(),
            grade: 0,
            x: *x,
            y: 0.0,
            accessible: false,
        };
        PlannedRow { label: label.into(), seats: xs.iter().enumerate().map(seat).collect() }
    }

    fn chart(rows: Vec<PlannedRow>) -> SeatChart {
        let grade = Grade { name: "stalls".into(), color: String::new() };
        SeatChart::lay_out(vec![PlannedSection { name: "Stalls".into(), rows, general_admission: None }], vec![grade])
    }

    #[test]
    fn a_name_is_counted_in_bytes_after_it_is_normalized() {
        let longest = "x".repeat(CHART_NAME_MAX_LEN);
        assert_eq!(chart_name(&format!(" {longest} ")).as_deref(), Some(longest.as_str()));
        for text in ["", " ", "Flo\u{AD}or", &"é".repeat(33)] {
            assert_eq!(chart_name(text), None, "{text:?}");
        }
    }

    #[test]
    fn rows_are_contiguous_and_apart_from_each_other() {
        let chart = chart(vec![row("A", &[0.0, 1.0, 2.0]), row("B", &[0.0, 1.0])]);
        let slots: Vec<u32> = chart.seats().iter().map(|seat| seat.slot.0).collect();
        assert_eq!(slots, [0, 1, 2, 4, 5]);
        assert_eq!(chart.slots(), 6);
    }

    #[test]
    fn an_aisle_parts_a_row() {
        let chart = chart(vec![row("A", &[0.0, 1.0, 2.0, 4.0, 5.0])]);
        let slots: Vec<u32> = chart.seats().iter().map(|seat| seat.slot.0).collect();
        assert_eq!(slots, [0, 1, 2, 4, 5]);
    }

    #[test]
    fn the_seats_of_a_row_are_in_the_order_in_which_people_sit() {
        let listed = row("A", &[10.0, 4.0, 11.0, 9.0]);
        assert!(listed.is_out_of_order() && !row("A", &[4.0, 3.0]).is_out_of_order());
        let chart = chart(vec![listed]);
        let seats: Vec<(&str, u32)> = chart.seats().iter().map(|seat| (seat.number.as_str(), seat.slot.0)).collect();
        assert_eq!(seats, [("2", 0), ("4", 2), ("1", 3), ("3", 4)]);
    }

    #[test]
    fn a_seat_is_found_by_id_and_by_slot() {
        let chart = chart(vec![row("A", &[0.0]), row("B", &[0.0])]);
        let seat = chart.seat("B1").expect("a seat of the chart");
        assert_eq!(chart.seat_at(seat.slot), Some(seat));
        assert_eq!(chart.place_of(seat.slot), Some(1));
        assert_eq!(chart.label_of(seat), "B-1");
        assert_eq!(chart.seat_at(Slot(1)), None);
    }

    #[test]
    fn the_units_of_areas_follow_the_seats_and_are_apart_from_each_other() {
        let general_admission = |name: &str, capacity| PlannedSection {
            name: name.into(),
            rows: vec![],
            general_admission: Some(PlannedArea { capacity, grade: 0 }),
        };
        let seated =
            PlannedSection { name: "Stalls".into(), rows: vec![row("A", &[0.0, 1.0])], general_admission: None };
        let grade = Grade { name: "All".into(), color: String::new() };
        let chart = SeatChart::lay_out(
            vec![general_admission("Floor", 3), seated, general_admission("Pit", 2)],
            vec![grade.clone()],
        );
        let area = |section, first, capacity| Area { section, grade: 0, first: Slot(first), capacity };
        assert_eq!(chart.areas(), [area(0, 3, 3), area(2, 7, 2)]);
        assert_eq!((chart.seat_slots(), chart.slots(), chart.capacity()), (2, 9, 7));
        let areas: Vec<Option<usize>> = (0..10).map(|slot| chart.area_index(Slot(slot))).collect();
        let (floor, pit) = (Some(0), Some(1));
        assert_eq!(areas, [None, None, None, floor, floor, floor, None, pit, pit, None]);
        assert_eq!(chart.area_named("Pit").map(|area| chart.name_of(area)), Some("Pit"));
        assert_eq!(chart.area_named("Stalls"), None);

        let ids: Vec<Option<String>> = (1..5).map(|slot| chart.id_at(Slot(slot))).collect();
        assert_eq!(ids, [Some("A2".into()), None, Some("unit-3".into()), Some("unit-4".into())]);
        assert_eq!((chart.slot_of("unit-4"), chart.unit("unit-4")), (Some(Slot(4)), Some(Slot(4))));
        assert_eq!((chart.slot_of("A2"), chart.unit("A2"), chart.slot_of("unit-6")), (Some(Slot(1)), None, None));
        assert_eq!([2, 3].map(|slot| chart.grade_at(Slot(slot))), [None, Some(0)]);

        let only = SeatChart::lay_out(vec![general_admission("Field", 4)], vec![grade]);
        assert_eq!((only.areas(), only.slots(), only.seat_slots()), (&[area(0, 0, 4)][..], 4, 0));
    }
}
