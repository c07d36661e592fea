//! Where a venue is, as columns of its row.

use diesel::prelude::*;
use encore_domain::catalog::place::{City, Country, Place, TimeZone};

use crate::error::corrupt;
use crate::schema::venues;

/// The columns of a place. They are set together, or none of them.
#[derive(Default, Queryable, Selectable, Insertable)]
#[diesel(table_name = venues)]
pub struct PlaceRow {
    city: Option<String>,
    city_key: Option<String>,
    country: Option<String>,
    time_zone: Option<String>,
}

impl From<&Place> for PlaceRow {
    fn from(Place { city, country, time_zone }: &Place) -> Self {
        Self {
            city: Some(city.as_str().to_owned()),
            city_key: Some(city.key().as_str().to_owned()),
            country: Some(country.code().to_owned()),
            time_zone: Some(time_zone.name().to_owned()),
        }
    }
}

impl PlaceRow {
    pub fn into_place(self) -> QueryResult<Option<Place>> {
        let (Some(city), Some(country), Some(time_zone)) = (self.city, self.country, self.time_zone) else {
            return Ok(None);
        };
        Ok(Some(Place {
            city: City::parse(&city).map_err(|rule| corrupt("city", &rule))?,
            country: Country::parse(&country).map_err(|rule| corrupt("country", &rule))?,
            time_zone: TimeZone::parse(&time_zone).map_err(|rule| corrupt("time zone", &rule))?,
        }))
    }
}
