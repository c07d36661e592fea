//! Where a venue is, as arguments of a command.

use clap::Args;
use encore_domain::catalog::location::{City, Country, Location, TimeZone};

/// Where a venue is: all three, or none.
#[derive(Args)]
pub struct LocationArgs {
    /// The city of the venue.
    #[arg(long, value_parser = City::parse, requires_all = ["country", "time_zone"])]
    city: Option<City>,
    /// Its country: a code of ISO 3166-1 alpha-2, such as DE.
    #[arg(long, value_name = "CODE", value_parser = Country::parse, requires = "city")]
    country: Option<Country>,
    /// Its time zone: a name of the IANA Time Zone Database, such as Europe/Berlin.
    #[arg(long, value_name = "NAME", value_parser = TimeZone::parse, requires = "city")]
    time_zone: Option<TimeZone>,
}

impl LocationArgs {
    /// The location, if it is told.
    pub fn location(&self) -> Option<Location> {
        Some(Location { city: self.city.clone()?, country: self.country?, time_zone: self.time_zone? })
    }
}
