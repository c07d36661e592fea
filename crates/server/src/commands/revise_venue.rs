//! `encore revise-venue`.

use clap::Args;
use encore_domain::catalog::drawing::Point;
use encore_domain::catalog::venue_revision::{NewArea, VenueRevision};
use encore_domain::ids::VenueId;
use uuid::Uuid;

use crate::commands::location::LocationArgs;
use crate::commands::{CommandError, on_database};
use crate::config::StoreArgs;
use crate::output::print_line;

/// The arguments of `encore revise-venue`.
#[derive(Args)]
pub struct ReviseVenueArgs {
    #[command(flatten)]
    stores: StoreArgs,
    #[command(flatten)]
    location: LocationArgs,
    /// The id of the venue, which stays as it is.
    venue: Uuid,
    /// Mark these seats as accessible: ids, separated by commas. May be repeated.
    #[arg(long, value_delimiter = ',', value_name = "SEAT_ID")]
    accessible: Vec<String>,
    /// Mark these seats as not accessible: ids, separated by commas. May be repeated.
    #[arg(long, value_delimiter = ',', value_name = "SEAT_ID")]
    ordinary: Vec<String>,
    /// The point to which the best seats are near, in the plan's pixels.
    #[arg(long, value_name = "X,Y", value_parser = point, allow_hyphen_values = true)]
    focal_point: Option<Point>,
    /// The focal point of one section. May be repeated.
    #[arg(long, value_name = "SECTION=X,Y", value_parser = section_point)]
    section_focal_point: Vec<(String, Point)>,
    /// Add a general admission area. May be repeated.
    #[arg(long, value_name = "NAME=GRADE:CAPACITY", value_parser = area)]
    area: Vec<NewArea>,
}

/// Stores a new venue with the changes.
pub async fn run(args: ReviseVenueArgs) -> Result<(), CommandError> {
    let revision = VenueRevision {
        accessible_seat_ids: args.accessible,
        ordinary_seat_ids: args.ordinary,
        focal_point: args.focal_point,
        section_focal_points: args.section_focal_point,
        general_admission_areas: args.area,
        location: args.location.location(),
    };
    let encore = on_database(&args.stores).await?;
    let venue = encore.api.admin.revise_venue(VenueId(args.venue), revision, None).await?;
    let seats = venue.chart.capacity();
    Ok(print_line(format_args!("venue {} revised, with id {} and {seats} seats", venue.name.as_str(), venue.id))?)
}

fn point(text: &str) -> Result<Point, String> {
    let coordinate = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    let point = text.split_once(',').and_then(|(x, y)| Some(Point { x: coordinate(x)?, y: coordinate(y)? }));
    point.ok_or_else(|| "must be two numbers, such as 400,-20.5".to_owned())
}

fn section_point(text: &str) -> Result<(String, Point), String> {
    let (section, at) = text.rsplit_once('=').ok_or("must be the name of a section, = and two numbers")?;
    Ok((section.to_owned(), point(at)?))
}

fn area(text: &str) -> Result<NewArea, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.rsplit_once(':')?)));
    let area = parts.and_then(|(name, (grade, capacity))| {
        Some(NewArea { name: name.to_owned(), grade: grade.to_owned(), capacity: capacity.parse().ok()? })
    });
    area.ok_or_else(|| {
        "must be a name, =, the name of a grade, : and a capacity, such as Floor=Standing:300".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_areas_are_read() {
        assert_eq!(point("400, -20.5"), Ok(Point { x: 400.0, y: -20.5 }));
        assert_eq!(section_point("Row = A=1,2"), Ok(("Row = A".to_owned(), Point { x: 1.0, y: 2.0 })));
        let floor = NewArea { name: "Floor".to_owned(), grade: "Front: left".to_owned(), capacity: 300 };
        assert_eq!(area("Floor=Front: left:300"), Ok(floor));
        for broken in ["", "1", "1,", "1,two", "inf,1"] {
            assert!(point(broken).is_err(), "{broken:?}");
        }
        for broken in ["", "Floor", "Floor=300", "Floor=All:-1"] {
            assert!(area(broken).is_err(), "{broken:?}");
        }
    }
}
