//! Decodes and encodes where a venue is.

use encore_domain::catalog::location::{City, Country, Location, TimeZone};
use encore_proto::catalog::v1 as pb;

use crate::fields::Fields;

/// A location that may be absent. The outer option is `None` if it is invalid.
#[expect(clippy::option_option, reason = "the outer is validity, the inner is presence")]
pub(crate) fn optional_location(fields: &mut Fields, location: Option<&pb::Location>) -> Option<Option<Location>> {
    let Some(pb::Location { city, country_code, time_zone }) = location else { return Some(None) };
    let city = fields.read("location.city", City::parse(city));
    let country = fields.read("location.country_code", Country::parse(country_code));
    let time_zone = fields.read("location.time_zone", TimeZone::parse(time_zone));
    Some(Some(Location { city: city?, country: country?, time_zone: time_zone? }))
}

pub(crate) fn location_to_proto(location: &Location) -> pb::Location {
    pb::Location {
        city: location.city.as_str().to_owned(),
        country_code: location.country.code().to_owned(),
        time_zone: location.time_zone.name().to_owned(),
    }
}
