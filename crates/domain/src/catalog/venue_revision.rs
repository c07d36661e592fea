//! Changes to a seat chart after its import. The format of pretix has no place for them, and its schema forbids extra keys, so a
//! plan that pretix reads too cannot have them.
//!
//! A venue does not change once it exists: performances refer to its slots, and every instance caches it. A revision is therefore a
//! venue of its own, for the performances that are created from then on.

use std::collections::HashMap;

use crate::catalog::area::Area;
use crate::catalog::drawing::Point;
use crate::catalog::location::Location;
use crate::catalog::seat_chart::{
    CHART_NAME_MAX_LEN, FocalPoints, SEATS_PER_VENUE_MAX, SECTIONS_PER_VENUE_MAX, SeatChart, Section, Slot, chart_name,
};

/// What is changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VenueRevision {
    /// Seats that become accessible.
    pub accessible_seat_ids: Vec<String>,
    /// Seats that are accessible no longer.
    pub ordinary_seat_ids: Vec<String>,
    /// The focal point of the plan; none to keep it.
    pub focal_point: Option<Point>,
    /// The focal points of all sections of a name. Other sections keep theirs.
    pub section_focal_points: Vec<(String, Point)>,
    /// General admission areas that are added.
    pub general_admission_areas: Vec<NewArea>,
    /// Where the venue is; none to keep what is known.
    pub location: Option<Location>,
}

/// A general admission area that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArea {
    /// The name of its section, which no other section has.
    pub name: String,
    /// The name of a grade of the venue.
    pub grade: String,
    /// How many units: at least 1.
    pub capacity: u32,
}

/// A value of a revision that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionViolation {
    /// The field, such as `accessible_seat_ids[3]`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl VenueRevision {
    /// The chart with the changes. The error lists all violations.
    pub fn apply(&self, chart: &SeatChart) -> Result<SeatChart, Vec<RevisionViolation>> {
        let mut violations = Vec::new();
        if *self == Self::default() {
            violations.push(violation("revision", "must change something"));
        }
        let (sections, areas) = self.areas(chart, &mut violations);
        let focal_points = self.focal_points(chart, &mut violations);
        let accessible = self.accessible(chart, &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        let mut seats = chart.seats().to_vec();
        for seat in &mut seats {
            seat.accessible = accessible.get(seat.id.as_str()).copied().unwrap_or(seat.accessible);
        }
        let (rows, grades) = (chart.rows().to_vec(), chart.grades().to_vec());
        let revised = SeatChart::from_parts(sections, rows, grades, seats, areas);
        Ok(revised.with_focal_points(focal_points).with_drawing(chart.drawing().clone()))
    }

    /// What becomes of the seats that are named.
    fn accessible(&self, chart: &SeatChart, violations: &mut Vec<RevisionViolation>) -> HashMap<&str, bool> {
        let lists = [
            ("accessible_seat_ids", &self.accessible_seat_ids, true),
            ("ordinary_seat_ids", &self.ordinary_seat_ids, false),
        ];
        let mut named = HashMap::new();
        for (field, ids, accessible) in lists {
            for (index, id) in ids.iter().enumerate() {
                let field = format!("{field}[{index}]");
                if chart.seat(id).is_none() {
                    violations.push(violation(field, format!("must be a seat of the venue: {id:?}")));
                } else if named.insert(id.as_str(), accessible).is_some() {
                    violations.push(violation(field, format!("must not name seat {id:?} twice")));
                }
            }
        }
        named
    }

    fn focal_points(&self, chart: &SeatChart, violations: &mut Vec<RevisionViolation>) -> FocalPoints {
        let FocalPoints { plan, sections } = chart.focal_points().clone();
        let mut focal_points = FocalPoints { plan: self.focal_point.or(plan), sections };
        for (index, (name, point)) in self.section_focal_points.iter().enumerate() {
            let wanted = chart_name(name);
            let named =
                (0..).zip(chart.sections()).filter(|(_, section)| Some(section.name.as_str()) == wanted.as_deref());
            let named: Vec<u16> = named.map(|(section, _)| section).collect();
            if named.is_empty() {
                let field = format!("section_focal_points[{index}].section");
                violations.push(violation(field, format!("must be a section of the venue: {name:?}")));
            }
            focal_points.sections.extend(named.into_iter().map(|section| (section, *point)));
        }
        focal_points
    }

    /// All sections and areas, the new ones last.
    fn areas(&self, chart: &SeatChart, violations: &mut Vec<RevisionViolation>) -> (Vec<Section>, Vec<Area>) {
        let (mut sections, mut areas) = (chart.sections().to_vec(), chart.areas().to_vec());
        let mut units = chart.capacity() as usize;
        let mut next_slot = chart.slots() + u32::from(chart.slots() > 0);
        for (index, new) in self.general_admission_areas.iter().enumerate() {
            let mut refuse = |key: &str, rule: String| {
                violations.push(violation(format!("general_admission_areas[{index}].{key}"), rule));
            };
            let name = chart_name(&new.name);
            if name.is_none() {
                let rule = "not blank, without control, invisible or unassigned characters";
                refuse("name", format!("must be 1 to {CHART_NAME_MAX_LEN} bytes, {rule}"));
            }
            if sections.iter().any(|section| Some(section.name.as_str()) == name.as_deref()) {
                refuse("name", "must not be the name of another section".to_owned());
            }
            let grade_name = chart_name(&new.grade);
            let grade = (0..).zip(chart.grades()).find(|(_, grade)| Some(grade.name.as_str()) == grade_name.as_deref());
            let grade = grade.map(|(grade, _)| grade);
            if grade.is_none() {
                refuse("grade", "must be a grade of the venue".to_owned());
            }
            units = units.saturating_add(new.capacity as usize);
            if new.capacity == 0 || units > SEATS_PER_VENUE_MAX {
                let rule = "must be at least 1, and the venue at most";
                refuse("capacity", format!("{rule} {SEATS_PER_VENUE_MAX} seats and units in all"));
            }
            let (Some(name), Some(grade), Ok(section)) = (name, grade, u16::try_from(sections.len())) else { continue };
            areas.push(Area { section, grade, first: Slot(next_slot), capacity: new.capacity });
            next_slot = next_slot.saturating_add(new.capacity).saturating_add(1);
            sections.push(Section { name: name.into_owned() });
        }
        if sections.len() > SECTIONS_PER_VENUE_MAX {
            let rule = format!("must not make more than {SECTIONS_PER_VENUE_MAX} sections");
            violations.push(violation("general_admission_areas", rule));
        }
        (sections, areas)
    }
}

fn violation(field: impl Into<String>, rule: impl Into<String>) -> RevisionViolation {
    RevisionViolation { field: field.into(), rule: rule.into() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalog::drawing::{Drawing, Size};
    use crate::catalog::seat_chart::{Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection};

    /// Two sections of three seats each, and an area of ten units at the slots 8 to 17.
    fn chart() -> SeatChart {
        let seat = |section: &str, number: u32| PlannedSeat {
            id: format!("{section}-{number}"),
            number: number.to_string(),
            grade: 0,
            x: f64::from(number),
            y: 0.0,
            accessible: number == 1,
        };
        let seated = |name: &str| PlannedSection {
            name: name.into(),
            rows: vec![PlannedRow { label: "A".into(), seats: (1..=3).map(|number| seat(name, number)).collect() }],
            general_admission: None,
        };
        let general_admission = Some(PlannedArea { capacity: 10, grade: 1 });
        let floor = PlannedSection { name: "Floor".into(), rows: vec![], general_admission };
        let grades = ["Seats", "Standing"].map(|name| Grade { name: name.into(), color: String::new() });
        let drawing = Drawing { size: Some(Size { width: 8.0, height: 6.0 }), shapes: vec![] };
        SeatChart::lay_out(vec![seated("L"), floor, seated("R")], grades.into()).with_drawing(drawing)
    }

    fn area(name: &str, grade: &str, capacity: u32) -> NewArea {
        NewArea { name: name.into(), grade: grade.into(), capacity }
    }

    fn fields(revision: &VenueRevision) -> Vec<String> {
        let violations = revision.apply(&chart()).expect_err("a violation");
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_revision_changes_what_it_names_and_keeps_the_rest() {
        let (before, point) = (chart(), Point { x: 4.0, y: -2.0 });
        let revision = VenueRevision {
            accessible_seat_ids: vec!["L-3".into()],
            ordinary_seat_ids: vec!["R-1".into()],
            focal_point: Some(point),
            section_focal_points: vec![("R".into(), Point { x: 9.0, y: 9.0 })],
            general_admission_areas: vec![area(" Pit", "Standing ", 5), area("Lawn", "Standing", 7)],
            location: None,
        };
        let after = revision.apply(&before).expect("a sound revision");
        let accessible: Vec<&str> =
            after.seats().iter().filter(|seat| seat.accessible).map(|seat| seat.id.as_str()).collect();
        assert_eq!(accessible, ["L-1", "L-3"]);
        let expected = BTreeMap::from([(2, Point { x: 9.0, y: 9.0 })]);
        assert_eq!(*after.focal_points(), FocalPoints { plan: Some(point), sections: expected });
        let areas: Vec<(&str, u32, u32)> =
            after.areas().iter().map(|area| (after.name_of(area), area.first.0, area.capacity)).collect();
        assert_eq!(areas, [("Floor", 8, 10), ("Pit", 19, 5), ("Lawn", 25, 7)]);
        assert_eq!((after.rows(), after.drawing()), (before.rows(), before.drawing()));
        assert!(before.seats().iter().all(|seat| after.seat_at(seat.slot).is_some_and(|other| other.id == seat.id)));

        let again = VenueRevision { focal_point: Some(Point::default()), ..VenueRevision::default() };
        let again = again.apply(&after).expect("a revision of a revision");
        assert_eq!(again.focal_points().sections, after.focal_points().sections);
        assert_eq!((again.areas(), again.seats()), (after.areas(), after.seats()));
    }

    #[test]
    fn every_violation_is_listed() {
        let revision = VenueRevision {
            accessible_seat_ids: vec!["L-1".into(), "M-1".into()],
            ordinary_seat_ids: vec!["L-1".into()],
            focal_point: None,
            section_focal_points: vec![("Moon".into(), Point::default())],
            general_admission_areas: vec![
                area("L ", "Standing", 1),
                area(" ", "Standing", 1),
                area("Pit", "Gold", 1),
                area("Lawn", "Standing", 0),
                area("Lawn", "Standing", 100_000),
            ],
            location: None,
        };
        let expected = [
            "general_admission_areas[0].name",
            "general_admission_areas[1].name",
            "general_admission_areas[2].grade",
            "general_admission_areas[3].capacity",
            "general_admission_areas[4].name",
            "general_admission_areas[4].capacity",
            "section_focal_points[0].section",
            "accessible_seat_ids[1]",
            "ordinary_seat_ids[0]",
        ];
        assert_eq!(fields(&revision), expected);
        assert_eq!(fields(&VenueRevision::default()), ["revision"]);
    }
}
