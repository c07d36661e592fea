//! Listings of the catalogue: what is wanted, in which order, and positions in them.

use crate::catalog::location::{Country, Location};
use crate::catalog::search::{Search, SearchWords};
use crate::catalog::sort_key::SortKey;
use crate::catalog::{Performance, Title};
use crate::ids::{ConcertId, PerformanceId, VenueId};
use crate::time::Timestamp;

/// Which venues are wanted by their location. A venue whose location is not known is wanted only without a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationFilter {
    /// Those in a city of this name.
    pub city: Option<SortKey>,
    /// Those in this country.
    pub country: Option<Country>,
}

impl LocationFilter {
    /// Whether it has no condition.
    pub fn wants_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a venue at this location is wanted.
    pub fn wants(&self, location: Option<&Location>) -> bool {
        let Self { city, country } = self;
        city.as_ref().is_none_or(|city| location.is_some_and(|location| location.city.key() == *city))
            && country.is_none_or(|country| location.is_some_and(|location| location.country == country))
    }
}

/// Which performances are wanted. Without any of its conditions: all. Those that were withdrawn never are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerformanceFilter {
    /// Those of this concert.
    pub concert: Option<ConcertId>,
    /// Those whose concert is found by its title and artist.
    pub search: Option<Search>,
    /// Those at this venue.
    pub venue: Option<VenueId>,
    /// Those at a venue of this city or country.
    pub location: LocationFilter,
    /// Those that start at this moment or later.
    pub starts_from: Option<Timestamp>,
    /// Those that start before this moment.
    pub starts_before: Option<Timestamp>,
    /// Those that are on sale at this moment.
    pub on_sale_at: Option<Timestamp>,
}

impl PerformanceFilter {
    /// All performances of a concert.
    pub fn of_concert(concert: ConcertId) -> Self {
        Self { concert: Some(concert), ..Self::default() }
    }

    /// Whether a performance is wanted whose concert has these words, and whose venue is there.
    pub fn wants(&self, performance: &Performance, words: &SearchWords, location: Option<&Location>) -> bool {
        let Self { concert, search, venue, location: wanted, starts_from, starts_before, on_sale_at } = self;
        performance.amended.withdrawn_at.is_none()
            && concert.is_none_or(|concert| performance.concert == concert)
            && search.as_ref().is_none_or(|search| search.finds(words))
            && venue.is_none_or(|venue| performance.venue == venue)
            && wanted.wants(location)
            && starts_from.is_none_or(|from| performance.starts_at >= from)
            && starts_before.is_none_or(|before| performance.starts_at < before)
            && on_sale_at.is_none_or(|now| performance.on_sale.check(now).is_ok())
    }
}

/// Which concerts are wanted. Without any of its conditions: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConcertFilter {
    /// Those that are found by their title and artist.
    pub search: Option<Search>,
    /// Those that have a performance at a venue of this city or country.
    pub location: LocationFilter,
    /// Those that have a performance that starts at this moment or later. It is the one at the location, if there is a location.
    pub starts_from: Option<Timestamp>,
}

impl ConcertFilter {
    /// The concerts that are found by their title and artist.
    pub fn of_search(search: Search) -> Self {
        Self { search: Some(search), ..Self::default() }
    }

    /// The performances of which a wanted concert has at least one; none if it needs none.
    pub fn with_performance(&self) -> Option<PerformanceFilter> {
        let Self { location, starts_from, .. } = self;
        let needs_one = !location.wants_all() || starts_from.is_some();
        let location = location.clone();
        needs_one.then(|| PerformanceFilter { location, starts_from: *starts_from, ..PerformanceFilter::default() })
    }
}

/// Which venues are wanted. Those of which no performance is public never are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenueFilter {
    /// Those that are found by their name and city.
    pub search: Option<Search>,
    /// Those of this city or country.
    pub location: LocationFilter,
    /// Those that have a performance that starts at this moment or later.
    pub starts_from: Option<Timestamp>,
}

/// A venue of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVenue {
    /// Which.
    pub id: VenueId,
    /// Shown to people.
    pub name: Title,
    /// Where it is, if that is known.
    pub location: Option<Location>,
}

impl ListedVenue {
    /// Where it is in the listing.
    pub fn cursor(&self) -> VenueCursor {
        (SortKey::of(self.name.as_str()), self.id)
    }
}

/// The position in a listing of venues, by name.
pub type VenueCursor = (SortKey, VenueId);

/// The order of a listing of concerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcertOrder {
    /// As they were created.
    #[default]
    Creation,
    /// By title.
    Title,
}

/// The position in a listing of concerts: by the title, which is empty in the order of creation, and then by id.
pub type ConcertCursor = (SortKey, ConcertId);

impl ConcertOrder {
    /// The position of a concert with this title.
    pub fn cursor(self, title: &Title, id: ConcertId) -> ConcertCursor {
        match self {
            Self::Creation => (SortKey::default(), id),
            Self::Title => (SortKey::of(title.as_str()), id),
        }
    }
}

/// The order of a listing of performances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PerformanceOrder {
    /// By the start of the show.
    #[default]
    Start,
    /// By the opening of the sale.
    OnSale,
    /// By the title of the concert, and then by the start.
    Title,
}

/// The position in a listing of performances. The listing continues with what is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerformanceCursor {
    /// The title of the concert; empty in the other orders.
    pub title: SortKey,
    /// The opening of the sale in its order; in the others the start.
    pub at: Timestamp,
    /// The performance, after others of the same title and time.
    pub id: PerformanceId,
}

impl PerformanceOrder {
    /// The position of a performance whose concert has this title.
    pub fn cursor(self, performance: &Performance, title: &SortKey) -> PerformanceCursor {
        let Performance { id, starts_at, on_sale, .. } = performance;
        let (title, at) = match self {
            Self::Start => (SortKey::default(), *starts_at),
            Self::OnSale => (SortKey::default(), on_sale.opens_at),
            Self::Title => (title.clone(), *starts_at),
        };
        PerformanceCursor { title, at, id: *id }
    }
}
