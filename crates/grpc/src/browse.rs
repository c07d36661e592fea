//! Decodes what listings of the catalogue want, and binds their page tokens to it.

use encore_domain::catalog::listing::{
    ConcertFilter, ConcertOrder, ListedVenue, LocationFilter, PerformanceFilter, PerformanceOrder, VenueFilter,
};
use encore_domain::catalog::location::{City, Country};
use encore_domain::catalog::search::Search;
use encore_proto::catalog::v1 as pb;

use crate::fields::Fields;
use crate::locations::location_to_proto;
use crate::page_token::moment;

/// The words to search for; none if the field is empty.
fn search(fields: &mut Fields, text: &str) -> Option<Search> {
    if text.is_empty() { None } else { fields.read("search", Search::parse(text)) }
}

fn location_filter(fields: &mut Fields, city: &str, country: &str) -> LocationFilter {
    let city = if city.is_empty() { None } else { fields.read("city", City::parse(city)) };
    let country = if country.is_empty() { None } else { fields.read("country_code", Country::parse(country)) };
    LocationFilter { city: city.map(|city| city.key()), country }
}

pub(crate) fn concert_filter(fields: &mut Fields, message: &pb::ListConcertsRequest) -> ConcertFilter {
    ConcertFilter {
        search: search(fields, &message.search),
        location: location_filter(fields, &message.city, &message.country_code),
        starts_from: fields.optional_timestamp("starts_from", message.starts_from.as_ref()),
    }
}

pub(crate) fn performance_filter(fields: &mut Fields, message: &pb::ListPerformancesRequest) -> PerformanceFilter {
    PerformanceFilter {
        concert: fields.optional_id("concert_id", &message.concert_id),
        search: search(fields, &message.search),
        venue: fields.optional_id("venue_id", &message.venue_id),
        location: location_filter(fields, &message.city, &message.country_code),
        starts_from: fields.optional_timestamp("starts_from", message.starts_from.as_ref()),
        starts_before: fields.optional_timestamp("starts_before", message.starts_before.as_ref()),
        on_sale_at: fields.optional_timestamp("on_sale_at", message.on_sale_at.as_ref()),
    }
}

pub(crate) fn venue_filter(fields: &mut Fields, message: &pb::ListVenuesRequest) -> VenueFilter {
    VenueFilter {
        search: search(fields, &message.search),
        location: location_filter(fields, &message.city, &message.country_code),
        starts_from: fields.optional_timestamp("starts_from", message.starts_from.as_ref()),
    }
}

pub(crate) fn concert_order(fields: &mut Fields, order: i32) -> Option<ConcertOrder> {
    let order = pb::ConcertOrder::try_from(order).map(|order| match order {
        pb::ConcertOrder::Unspecified | pb::ConcertOrder::Creation => ConcertOrder::Creation,
        pb::ConcertOrder::Title => ConcertOrder::Title,
    });
    fields.read("order", order.map_err(|_| "must be an order of concerts"))
}

pub(crate) fn performance_order(fields: &mut Fields, order: i32) -> Option<PerformanceOrder> {
    let order = pb::PerformanceOrder::try_from(order).map(|order| match order {
        pb::PerformanceOrder::Unspecified | pb::PerformanceOrder::Start => PerformanceOrder::Start,
        pb::PerformanceOrder::OnSale => PerformanceOrder::OnSale,
        pb::PerformanceOrder::Title => PerformanceOrder::Title,
    });
    fields.read("order", order.map_err(|_| "must be an order of performances"))
}

/// What a page token is bound to.
pub(crate) fn bound(conditions: &[String]) -> impl Iterator<Item = &str> {
    conditions.iter().map(String::as_str)
}

pub(crate) fn conditions_of_concerts(message: &pb::ListConcertsRequest, filter: &ConcertFilter) -> Vec<String> {
    let pb::ListConcertsRequest { search, city, country_code, order, .. } = message;
    vec![search.clone(), city.clone(), country_code.clone(), moment(filter.starts_from), order.to_string()]
}

pub(crate) fn conditions_of_performances(
    message: &pb::ListPerformancesRequest,
    filter: &PerformanceFilter,
) -> Vec<String> {
    let pb::ListPerformancesRequest { concert_id, search, venue_id, city, country_code, order, .. } = message;
    let texts = [concert_id, search, venue_id, city, country_code].map(String::clone);
    let moments = [filter.starts_from, filter.starts_before, filter.on_sale_at].map(moment);
    [&texts[..], &moments, &[order.to_string()]].concat()
}

pub(crate) fn conditions_of_venues(message: &pb::ListVenuesRequest, filter: &VenueFilter) -> Vec<String> {
    let pb::ListVenuesRequest { search, city, country_code, .. } = message;
    vec![search.clone(), city.clone(), country_code.clone(), moment(filter.starts_from)]
}

pub(crate) fn listed_venue_to_proto(venue: &ListedVenue) -> pb::Venue {
    pb::Venue {
        venue_id: venue.id.to_string(),
        name: venue.name.as_str().to_owned(),
        location: venue.location.as_ref().map(location_to_proto),
    }
}
