//! Where a venue is, as columns of its row.

use diesel::prelude::*;
use encore_domain::catalog::location::{City, Country, Location, TimeZone};

use crate::error::corrupt;
use crate::schema::venues;

/// The columns of a location. They are set together, or none of them.
#[derive(Default, Queryable, Selectable, Insertable)]
#[diesel(table_name = venues)]
pub struct LocationRow {
    city: Option<String>,
    city_key: Option<String>,
    country: Option<String>,
    time_zone: Option<String>,
}

impl From<&Location> for LocationRow {
    fn from(Location { city, country, time_zone }: &Location) -> Self {
        Self {
            city: Some(city.as_str().to_owned()),
            city_key: Some(city.key().as_str().to_owned()),
            country: Some(country.code().to_owned()),
            time_zone: Some(time_zone.name().to_owned()),
        }
    }
}

impl LocationRow {
    pub fn into_location(self) -> QueryResult<Option<Location>> {
        let (Some(city), Some(country), Some(time_zone)) = (self.city, self.country, self.time_zone) else {
            return Ok(None);
        };
        Ok(Some(Location {
            city: City::parse(&city).map_err(|rule| corrupt("city", &rule))?,
            country: Country::parse(&country).map_err(|rule| corrupt("country", &rule))?,
            time_zone: TimeZone::parse(&time_zone).map_err(|rule| corrupt("time zone", &rule))?,
        }))
    }
}
