//! Walks the document from the plan down to its seats. A value that cannot be read adds a violation and is skipped, and the walk
//! continues, so that all violations are found. A plan with a violation is never used. What is imported otherwise than its author
//! may expect adds a warning.

mod fields;
mod keys;
mod object;
mod shapes;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use encore_domain::catalog::Title;
use encore_domain::catalog::area::unit_slot;
use encore_domain::catalog::drawing::{Drawing, Point, Shape};
use encore_domain::catalog::seat_chart::{
    FocalPoints, GRADES_PER_VENUE_MAX, Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection,
    SEATS_PER_VENUE_MAX, SECTIONS_PER_VENUE_MAX, SeatChart, chart_name,
};
use serde_json::Value;

use self::keys::{AREA, CATEGORY, PLAN, ROW, ZONE};
use self::object::Object;
use crate::SeatingPlan;
use crate::path::Path;
use crate::plausibility;
use crate::violation::{PlanViolation, Violations};
use crate::warning::Warnings;

pub(crate) fn read(document: &Value) -> Result<SeatingPlan, Vec<PlanViolation>> {
    let mut reader = Reader::default();
    let plan = reader.plan(document);
    match plan {
        Some((name, chart)) if reader.violations.is_empty() => {
            plausibility::check(&chart, &mut reader.warnings);
            Ok(SeatingPlan { name, chart, warnings: reader.warnings.into_list() })
        }
        _ => Err(reader.violations.into_list()),
    }
}

/// The indices of a seat: of its zone, of its row in the zone, and of the seat in the row.
#[derive(Clone, Copy)]
struct SeatAt {
    zone: usize,
    row: usize,
    seat: usize,
}

/// The state that the seats of a row share while they are read.
struct RowSoFar<'p, 'v> {
    path: &'p Path<'p>,
    origin: Point,
    first: SeatAt,
    seat_by_number: HashMap<Cow<'v, str>, usize>,
}

#[derive(Default)]
struct Reader<'v> {
    violations: Violations,
    warnings: Warnings<'v>,
    grade_by_name: HashMap<Cow<'v, str>, u16>,
    seat_by_guid: HashMap<Cow<'v, str>, SeatAt>,
    zone_by_name: HashMap<String, NamedZone>,
    seats: usize,
}

/// The zones read so far.
#[derive(Default)]
struct Zones {
    /// Those that sell something.
    sections: Vec<PlannedSection>,
    /// By the index of the section.
    focal_points: BTreeMap<u16, Point>,
    /// Of all zones.
    shapes: Vec<Shape>,
}

/// The first zone with a name.
#[derive(Clone, Copy)]
struct NamedZone {
    at: usize,
    general_admission: bool,
}

impl<'v> Reader<'v> {
    fn plan(&mut self, document: &'v Value) -> Option<(Title, SeatChart)> {
        let plan = self.object(&Path::Root, document)?;
        self.check_keys(&plan, &PLAN);
        let name = self.title(&plan);
        let focal_point = self.optional_point(&plan, "focal_point");
        let size = self.size(&plan);
        let grades = self.grades(&plan);
        let Zones { sections, focal_points, shapes } = self.zones(&plan);
        if !self.violations.is_empty() {
            return None;
        }
        let chart = SeatChart::lay_out(sections, grades)
            .with_focal_points(FocalPoints { plan: focal_point, sections: focal_points })
            .with_drawing(Drawing { size, shapes });
        Some((name?, chart))
    }

    fn title(&mut self, plan: &Object<'_, 'v>) -> Option<Title> {
        let text = self.text(plan, "name")?;
        let title = Title::parse(text);
        if let Err(rule) = &title {
            self.violations.add(&plan.path.key("name"), rule.to_string());
        }
        title.ok()
    }

    fn grades(&mut self, plan: &Object<'_, 'v>) -> Vec<Grade> {
        let path = plan.path.key("categories");
        let categories = self.filled_array(plan, "categories");
        if categories.len() > GRADES_PER_VENUE_MAX {
            self.violations.add(&path, format!("must have at most {GRADES_PER_VENUE_MAX} categories"));
        }
        let read = |(at, category)| self.grade(&path.index(at), category, at);
        categories.iter().enumerate().filter_map(read).collect()
    }

    fn grade(&mut self, path: &Path<'_>, category: &'v Value, at: usize) -> Option<Grade> {
        let category = self.object(path, category)?;
        self.check_keys(&category, &CATEGORY);
        let color = self.optional_text(&category, "color").unwrap_or_default();
        let name = self.name(&category, "name")?;
        match self.grade_by_name.entry(name.clone()) {
            Entry::Vacant(unused) => drop(unused.insert(u16::try_from(at).ok()?)),
            Entry::Occupied(first) => {
                let rule = format!("is the name of $.categories[{}] already", first.get());
                self.violations.add(&path.key("name"), rule);
            }
        }
        Some(Grade { name: name.into_owned(), color: color.into_owned() })
    }

    fn zones(&mut self, plan: &Object<'_, 'v>) -> Zones {
        let path = plan.path.key("zones");
        let zones = self.filled_array(plan, "zones");
        if zones.len() > SECTIONS_PER_VENUE_MAX {
            self.violations.add(&path, format!("must have at most {SECTIONS_PER_VENUE_MAX} zones"));
        }
        let mut read = Zones::default();
        for (at, zone) in zones.iter().enumerate() {
            self.zone(&path.index(at), zone, at, &mut read);
        }
        if self.seats > SEATS_PER_VENUE_MAX {
            self.violations.add(
                &path,
                format!("must have at most {SEATS_PER_VENUE_MAX} seats and units of general admission in all"),
            );
        }
        if read.sections.is_empty() && self.violations.is_empty() {
            self.violations.add(&path, "must have a seat or a general admission area");
        }
        read
    }

    fn zone(&mut self, path: &Path<'_>, zone: &'v Value, at: usize, read: &mut Zones) -> Option<()> {
        let zone = self.object(path, zone)?;
        self.check_keys(&zone, &ZONE);
        let name = self.optional_text(&zone, "name").map_or_else(|| format!("Zone {}", at + 1), Cow::into_owned);
        let origin = self.position(&zone).unwrap_or_default();
        let focal_point = self.optional_point(&zone, "focal_point");
        self.shapes(&zone, origin, &mut read.shapes);
        let section = self.section(&zone, name, at, origin)?;
        if let Some(focal_point) = focal_point {
            read.focal_points.insert(u16::try_from(read.sections.len()).ok()?, focal_point);
        }
        read.sections.push(section);
        Some(())
    }

    /// The seats or the general admission area of a zone; none if it sells nothing, such as a zone that only draws a stage.
    fn section(&mut self, zone: &Object<'_, 'v>, name: String, at: usize, origin: Point) -> Option<PlannedSection> {
        let rows_path = zone.path.key("rows");
        if let Some(area) = zone.optional("general_admission") {
            self.note_name(zone.path, &name, NamedZone { at, general_admission: true });
            let rows = zone.optional("rows");
            if rows.is_some_and(|rows| rows.as_array().is_none_or(|rows| !rows.is_empty())) {
                self.violations.add(&rows_path, "must be absent or empty in a general admission area");
            }
            let area = self.area(&zone.path.key("general_admission"), area)?;
            return Some(PlannedSection { name, rows: vec![], general_admission: Some(area) });
        }
        let rows = self.array(zone, "rows")?;
        let read =
            |(row_at, row)| self.row(&rows_path.index(row_at), row, origin, SeatAt { zone: at, row: row_at, seat: 0 });
        let rows: Vec<PlannedRow> = rows.iter().enumerate().filter_map(read).collect();
        if rows.is_empty() {
            self.warnings.add(zone.path, "sells nothing and is skipped");
            return None;
        }
        self.note_name(zone.path, &name, NamedZone { at, general_admission: false });
        Some(PlannedSection { name, rows, general_admission: None })
    }

    /// Several zones with seats may share a name. The name of a general admission area is unique, because it is held by name.
    fn note_name(&mut self, path: &Path<'_>, name: &str, zone: NamedZone) {
        let first = *self.zone_by_name.entry(name.to_owned()).or_insert(zone);
        if first.at != zone.at && (first.general_admission || zone.general_admission) {
            let rule =
                format!("is the name of $.zones[{}] already, and one of them is a general admission area", first.at);
            self.violations.add(&path.key("name"), rule);
        }
    }

    fn area(&mut self, path: &Path<'_>, area: &'v Value) -> Option<PlannedArea> {
        let area = self.object(path, area)?;
        self.check_keys(&area, &AREA);
        let capacity = self.count(&area, "capacity", SEATS_PER_VENUE_MAX);
        let grade = self.grade_of(&area);
        self.seats += capacity.map_or(0, |capacity| capacity as usize);
        Some(PlannedArea { capacity: capacity?, grade: grade? })
    }

    fn row(&mut self, path: &Path<'_>, row: &'v Value, zone: Point, first: SeatAt) -> Option<PlannedRow> {
        let row = self.object(path, row)?;
        self.check_keys(&row, &ROW);
        let seats = self.array(&row, "seats")?;
        if seats.is_empty() {
            self.warnings.add(path, "has no seats and is skipped");
            return None;
        }
        let label = self.name(&row, "row_number").unwrap_or_default().into_owned();
        let origin = zone + self.optional_point(&row, "position").unwrap_or_default();
        let path = path.key("seats");
        self.seats += seats.len();
        let mut row = RowSoFar { path: &path, origin, first, seat_by_number: HashMap::with_capacity(seats.len()) };
        let seats = seats.iter().enumerate().filter_map(|(at, seat)| self.seat(&mut row, seat, at)).collect();
        let row = PlannedRow { label, seats };
        if row.is_out_of_order() {
            self.warnings.add(&path, "are not in the order in which people sit; they are sorted by their positions");
        }
        Some(row)
    }

    fn seat(&mut self, row: &mut RowSoFar<'_, 'v>, seat: &'v Value, at: usize) -> Option<PlannedSeat> {
        let path = row.path.index(at);
        let seat = self.object(&path, seat)?;
        let guid = self.name(&seat, "seat_guid");
        let number = self.name(&seat, "seat_number");
        let position = self.position(&seat).and_then(|position| self.finite(&path, row.origin + position));
        let grade = self.grade_of(&seat);
        let accessible = self.is_accessible(&seat);
        let guid = self.unused_guid(&path, guid?, SeatAt { seat: at, ..row.first });
        let number = self.unused_number(&path, number?, at, row);
        let Point { x, y } = position?;
        let (id, number) = (guid?.into_owned(), number?.into_owned());
        Some(PlannedSeat { id, number, grade: grade?, x, y, accessible })
    }

    fn grade_of(&mut self, seat: &Object<'_, 'v>) -> Option<u16> {
        let name = chart_name(self.text(seat, "category")?);
        let grade = name.and_then(|name| self.grade_by_name.get(&name).copied());
        if grade.is_none() {
            self.violations.add(&seat.path.key("category"), "must be the name of a category of the plan");
        }
        grade
    }

    fn unused_guid(&mut self, path: &Path<'_>, guid: Cow<'v, str>, at: SeatAt) -> Option<Cow<'v, str>> {
        if unit_slot(&guid).is_some() {
            self.violations
                .add(&path.key("seat_guid"), "must not have the form of the id of a unit of general admission");
            return None;
        }
        match self.seat_by_guid.entry(guid.clone()) {
            Entry::Vacant(unused) => {
                unused.insert(at);
                Some(guid)
            }
            Entry::Occupied(first) => {
                let SeatAt { zone, row, seat } = first.get();
                let rule = format!("is the guid of $.zones[{zone}].rows[{row}].seats[{seat}] already");
                self.violations.add(&path.key("seat_guid"), rule);
                None
            }
        }
    }

    /// A number is unique in its row: people find their seat by it.
    fn unused_number(
        &mut self,
        path: &Path<'_>,
        number: Cow<'v, str>,
        at: usize,
        row: &mut RowSoFar<'_, 'v>,
    ) -> Option<Cow<'v, str>> {
        match row.seat_by_number.entry(number.clone()) {
            Entry::Vacant(unused) => {
                unused.insert(at);
                Some(number)
            }
            Entry::Occupied(first) => {
                let rule = format!("is the number of {} already", row.path.index(*first.get()));
                self.violations.add(&path.key("seat_number"), rule);
                None
            }
        }
    }
}
