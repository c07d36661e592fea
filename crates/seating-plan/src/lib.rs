#![doc = include_str!("../README.md")]

mod path;
mod plausibility;
mod reader;
mod violation;
mod warning;

use encore_domain::catalog::Title;
use encore_domain::catalog::seat_chart::SeatChart;

pub use violation::{PlanViolation, VIOLATIONS_MAX};
pub use warning::{PlanWarning, WARNINGS_MAX};

/// A plan that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatingPlan {
    /// The name of the plan, which becomes the name of the venue.
    pub name: Title,
    /// Its sections, rows, seats, general admission areas, grades, focal points and drawing.
    pub chart: SeatChart,
    /// What is imported otherwise than the author of the plan may expect: at most [`WARNINGS_MAX`].
    pub warnings: Vec<PlanWarning>,
}

/// Reads a plan. The error lists all violations, or the first [`VIOLATIONS_MAX`].
pub fn read(json: &str) -> Result<SeatingPlan, Vec<PlanViolation>> {
    // Some editors begin a file with a byte-order mark.
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let document = serde_json::from_str(json).map_err(|error| vec![PlanViolation::not_json(&error)])?;
    reader::read(&document)
}
