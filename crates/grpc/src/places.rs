//! Decodes and encodes where a venue is.

use encore_domain::catalog::place::{City, Country, Place, TimeZone};
use encore_proto::catalog::v1 as pb;

use crate::fields::Fields;

/// A place that may be absent. The outer option is `None` if it is invalid.
#[expect(clippy::option_option, reason = "the outer is validity, the inner is presence")]
pub(crate) fn optional_place(fields: &mut Fields, place: Option<&pb::Place>) -> Option<Option<Place>> {
    let Some(pb::Place { city, country_code, time_zone }) = place else { return Some(None) };
    let city = fields.read("place.city", City::parse(city));
    let country = fields.read("place.country_code", Country::parse(country_code));
    let time_zone = fields.read("place.time_zone", TimeZone::parse(time_zone));
    Some(Some(Place { city: city?, country: country?, time_zone: time_zone? }))
}

pub(crate) fn place_to_proto(place: &Place) -> pb::Place {
    pb::Place {
        city: place.city.as_str().to_owned(),
        country_code: place.country.code().to_owned(),
        time_zone: place.time_zone.name().to_owned(),
    }
}
