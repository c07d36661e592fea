#![doc = include_str!("../README.md")]

mod path;
mod reader;
mod violation;

use encore_domain::catalog::Title;
use encore_domain::catalog::seat_chart::SeatChart;

pub use violation::{PlanViolation, VIOLATIONS_MAX};

/// A hall, as its plan draws it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatingPlan {
    /// What the plan calls the hall.
    pub name: Title,
    /// Its sections, rows, seats and grades.
    pub chart: SeatChart,
}

/// Reads a plan, or says all that is wrong with it.
pub fn read(json: &str) -> Result<SeatingPlan, Vec<PlanViolation>> {
    // Some editors begin a file with a byte-order mark.
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let document = serde_json::from_str(json).map_err(|error| vec![PlanViolation::not_json(&error)])?;
    reader::read(&document)
}
