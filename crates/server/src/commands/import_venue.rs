//! `encore import-venue`.

use std::path::PathBuf;

use clap::Args;

use crate::commands::location::LocationArgs;
use crate::commands::{CommandError, on_database};
use crate::config::StoreArgs;
use crate::output::{print_error_line, print_line};

/// The arguments of `encore import-venue`.
#[derive(Args)]
pub struct ImportVenueArgs {
    #[command(flatten)]
    stores: StoreArgs,
    #[command(flatten)]
    location: LocationArgs,
    /// A seating plan in the JSON format of pretix and its editors.
    file: PathBuf,
}

/// Reads the plan and stores it as a venue. What is imported otherwise than the author of the plan may expect is printed to
/// standard error.
pub async fn run(args: &ImportVenueArgs) -> Result<(), CommandError> {
    let plan_json = std::fs::read_to_string(&args.file);
    let plan_json = plan_json.map_err(|source| CommandError::Read { what: args.file.display().to_string(), source })?;
    let encore = on_database(&args.stores).await?;
    let imported = encore.api.admin.import_venue(plan_json, args.location.location(), None).await?;
    for warning in &imported.warnings {
        print_error_line(format_args!("warning: {warning}"));
    }
    let (venue, seats) = (&imported.venue, imported.venue.chart.capacity());
    Ok(print_line(format_args!("venue {} imported with id {} and {seats} seats", venue.name.as_str(), venue.id))?)
}
