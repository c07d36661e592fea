//! Walks the document from the plan down to its seats. A value that cannot be read adds a violation and is skipped, and the walk
//! continues, so that all violations are found. A plan with a violation is never used.

mod fields;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use encore_domain::catalog::Title;
use encore_domain::catalog::area::unit_slot;
use encore_domain::catalog::seat_chart::{
    GRADES_PER_VENUE_MAX, Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection, SEATS_PER_VENUE_MAX,
    SECTIONS_PER_VENUE_MAX, SeatChart, chart_name,
};
use serde_json::Value;

use self::fields::{Object, Point};
use crate::SeatingPlan;
use crate::path::Path;
use crate::violation::{PlanViolation, Violations};

pub(crate) fn read(document: &Value) -> Result<SeatingPlan, Vec<PlanViolation>> {
    let mut reader = Reader::default();
    let plan = reader.plan(document);
    match plan {
        Some(plan) if reader.violations.is_empty() => Ok(plan),
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
    grade_by_name: HashMap<Cow<'v, str>, u16>,
    seat_by_guid: HashMap<Cow<'v, str>, SeatAt>,
    zone_by_name: HashMap<String, NamedZone>,
    seats: usize,
}

/// The first zone with a name.
#[derive(Clone, Copy)]
struct NamedZone {
    at: usize,
    general_admission: bool,
}

impl<'v> Reader<'v> {
    fn plan(&mut self, document: &'v Value) -> Option<SeatingPlan> {
        let plan = self.object(&Path::Root, document)?;
        let name = self.title(&plan);
        let grades = self.grades(&plan);
        let sections = self.sections(&plan);
        if !self.violations.is_empty() {
            return None;
        }
        Some(SeatingPlan { name: name?, chart: SeatChart::lay_out(sections, grades) })
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

    fn sections(&mut self, plan: &Object<'_, 'v>) -> Vec<PlannedSection> {
        let path = plan.path.key("zones");
        let zones = self.filled_array(plan, "zones");
        if zones.len() > SECTIONS_PER_VENUE_MAX {
            self.violations.add(&path, format!("must have at most {SECTIONS_PER_VENUE_MAX} zones"));
        }
        let sections =
            zones.iter().enumerate().filter_map(|(at, zone)| self.section(&path.index(at), zone, at)).collect();
        if self.seats > SEATS_PER_VENUE_MAX {
            self.violations.add(
                &path,
                format!("must have at most {SEATS_PER_VENUE_MAX} seats and units of general admission in all"),
            );
        }
        sections
    }

    fn section(&mut self, path: &Path<'_>, zone: &'v Value, at: usize) -> Option<PlannedSection> {
        let zone = self.object(path, zone)?;
        let name = self.optional_text(&zone, "name").map_or_else(|| format!("Zone {}", at + 1), Cow::into_owned);
        let origin = self.position(&zone).unwrap_or_default();
        let area = zone.optional("general_admission");
        self.note_name(path, &name, NamedZone { at, general_admission: area.is_some() });
        let rows_path = path.key("rows");
        if let Some(area) = area {
            let rows = zone.optional("rows");
            if rows.is_some_and(|rows| rows.as_array().is_none_or(|rows| !rows.is_empty())) {
                self.violations.add(&rows_path, "must be absent or empty in a general admission area");
            }
            let area = self.area(&path.key("general_admission"), area)?;
            return Some(PlannedSection { name, rows: vec![], general_admission: Some(area) });
        }
        let rows = self.filled_array(&zone, "rows");
        let read =
            |(row_at, row)| self.row(&rows_path.index(row_at), row, origin, SeatAt { zone: at, row: row_at, seat: 0 });
        Some(PlannedSection { name, rows: rows.iter().enumerate().filter_map(read).collect(), general_admission: None })
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
        let capacity = self.count(&area, "capacity", SEATS_PER_VENUE_MAX);
        let grade = self.grade_of(&area);
        self.seats += capacity.map_or(0, |capacity| capacity as usize);
        Some(PlannedArea { capacity: capacity?, grade: grade? })
    }

    fn row(&mut self, path: &Path<'_>, row: &'v Value, zone: Point, first: SeatAt) -> Option<PlannedRow> {
        let row = self.object(path, row)?;
        let label = self.name(&row, "row_number").unwrap_or_default().into_owned();
        let origin = zone + self.optional_position(&row).unwrap_or_default();
        let path = path.key("seats");
        let seats = self.filled_array(&row, "seats");
        self.seats += seats.len();
        let mut row = RowSoFar { path: &path, origin, first, seat_by_number: HashMap::with_capacity(seats.len()) };
        let seats = seats.iter().enumerate().filter_map(|(at, seat)| self.seat(&mut row, seat, at)).collect();
        Some(PlannedRow { label, seats })
    }

    fn seat(&mut self, row: &mut RowSoFar<'_, 'v>, seat: &'v Value, at: usize) -> Option<PlannedSeat> {
        let path = row.path.index(at);
        let seat = self.object(&path, seat)?;
        let guid = self.name(&seat, "seat_guid");
        let number = self.name(&seat, "seat_number");
        let position = self.position(&seat).and_then(|position| self.finite(&path, row.origin + position));
        let grade = self.grade_of(&seat);
        let accessible = self.flag(&seat, "accessible");
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
