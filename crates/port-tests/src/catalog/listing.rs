//! Concerts, performances and venues by location, and in each order.

use encore_domain::catalog::listing::{
    ConcertFilter, ConcertOrder, ListedVenue, LocationFilter, PerformanceFilter, PerformanceOrder, VenueFilter,
};
use encore_domain::catalog::location::{City, Country, Location};
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, Title, Venue};

use super::finding::{named, search};
use crate::RecordBench;
use crate::answers::made;
use crate::fixtures::{at_secs, location, performance, small_chart, venue};
use crate::paging::{SIZES, read_all};

fn city(name: &str) -> LocationFilter {
    LocationFilter { city: Some(City::parse(name).expect("a city").key()), country: None }
}

fn country(code: &str) -> LocationFilter {
    LocationFilter { city: None, country: Some(Country::parse(code).expect("a country")) }
}

fn both(name: &str, code: &str) -> LocationFilter {
    LocationFilter { city: city(name).city, ..country(code) }
}

/// Three concerts, four venues (two in cities of one name, one without a location) and six dates: the dates of the first concert are at the
/// first and second venue, those of the second at the third and fourth; the third has one that was withdrawn, at the first.
struct Season {
    concerts: [Concert; 3],
    venues: [Venue; 4],
    dates: [Performance; 5],
}

impl Season {
    async fn announce(bench: &RecordBench) -> Self {
        let locations: [Option<Location>; 4] = [
            Some(location("Köln", "DE", "Europe/Berlin")),
            Some(location("Frankfurt", "DE", "Europe/Berlin")),
            Some(location("Frankfurt", "US", "America/Indiana/Indianapolis")),
            None,
        ];
        let names = ["Zirkus", "Alte Oper", "Übel & Gefährlich", "alte oper"];
        let title = |text| Title::parse(text).expect("a title");
        let mut names = names.into_iter().map(title);
        let venues = locations.map(|location| {
            let name = names.next().expect("a name");
            Venue { name, location, ..venue(small_chart()) }
        });
        let concerts = [named("Étude", "B"), named("the \"Aria\"", "A"), named("Étude", "C")];
        for venue in &venues {
            made(bench.catalog.add_venue(venue.clone(), None).await);
        }
        for concert in &concerts {
            made(bench.catalog.add_concert(concert.clone(), None).await);
        }
        let date = |concert: usize, venue: usize, starts: u64, opens: u64| Performance {
            starts_at: at_secs(starts),
            on_sale: OnSaleWindow { opens_at: at_secs(opens), closes_at: at_secs(starts) },
            ..performance(concerts[concert].id, venues[venue].id)
        };
        let withdrawn = Amendments { revision: 1, withdrawn_at: Some(at_secs(5)), ..Amendments::default() };
        let dates = [
            date(0, 0, 50_000, 300),
            date(0, 1, 60_000, 100),
            date(1, 2, 50_000, 200),
            date(1, 3, 70_000, 300),
            Performance { amended: withdrawn, ..date(2, 0, 40_000, 0) },
        ];
        for date in &dates {
            made(bench.catalog.add_performance(date.clone(), None, None).await);
        }
        Self { concerts, venues, dates }
    }
}

pub async fn finds_concerts_by_location(bench: RecordBench) {
    let season = Season::announce(&bench).await;
    let from =
        |location, secs| ConcertFilter { location, starts_from: Some(at_secs(secs)), ..ConcertFilter::default() };
    let at = |location| ConcertFilter { location, ..ConcertFilter::default() };
    for (filter, found) in [
        (ConcertFilter::default(), &[0, 1, 2][..]),
        (at(city("KOLN")), &[0]),
        (at(city("frankfurt")), &[0, 1]),
        (at(both("Frankfurt", "US")), &[1]),
        (at(country("DE")), &[0]),
        (at(country("FR")), &[]),
        (from(LocationFilter::default(), 60_001), &[1]),
        (from(LocationFilter::default(), 0), &[0, 1]),
        (from(city("Köln"), 50_001), &[]),
        (from(city("Köln"), 50_000), &[0]),
        (ConcertFilter { search: Some(search("aria")), ..at(country("DE")) }, &[]),
        (ConcertFilter { search: Some(search("aria")), ..at(country("US")) }, &[1]),
    ] {
        let expected: Vec<Concert> = found.iter().map(|index: &usize| season.concerts[*index].clone()).collect();
        for size in SIZES {
            let listed = read_all(size, |page| bench.catalog.concerts(&filter, ConcertOrder::Creation, page)).await;
            assert_eq!(listed, expected, "{filter:?} by {size}");
        }
    }
}

pub async fn finds_performances_by_location(bench: RecordBench) {
    let season = Season::announce(&bench).await;
    let at = |location| PerformanceFilter { location, ..PerformanceFilter::default() };
    for (filter, found) in [
        (at(city("koln")), &[0][..]),
        (at(city("Frankfurt")), &[2, 1]),
        (at(both("Frankfurt", "DE")), &[1]),
        (at(country("DE")), &[0, 1]),
        (at(country("AT")), &[]),
        (PerformanceFilter { venue: Some(season.venues[3].id), ..at(country("DE")) }, &[]),
        (PerformanceFilter { starts_from: Some(at_secs(50_001)), ..at(country("DE")) }, &[1]),
    ] {
        let expected: Vec<Performance> = found.iter().map(|index: &usize| season.dates[*index].clone()).collect();
        for size in SIZES {
            let listed =
                read_all(size, |page| bench.catalog.performances(&filter, PerformanceOrder::Start, page)).await;
            assert_eq!(listed, expected, "{filter:?} by {size}");
        }
    }
}

pub async fn orders_concerts_by_title(bench: RecordBench) {
    let titles = ["étude", "Wall", "The Wall", "1812", "Etude (encore)", "???"];
    let concerts = titles.map(|title| named(title, "A"));
    for concert in &concerts {
        made(bench.catalog.add_concert(concert.clone(), None).await);
    }
    let twin = named("ÉTUDE!", "B");
    made(bench.catalog.add_concert(twin.clone(), None).await);
    let [etude, wall, the_wall, overture, encore, questions] = &concerts;
    let mut expected = vec![questions, overture, etude, &twin, encore, the_wall, wall];
    let filter = ConcertFilter::default();
    for size in SIZES {
        let listed = read_all(size, |page| bench.catalog.concerts(&filter, ConcertOrder::Title, page)).await;
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "by {size}");
    }
    let filter = ConcertFilter::of_search(search("wall"));
    expected.retain(|concert| concert.title.as_str().contains("Wall"));
    let listed = read_all(1, |page| bench.catalog.concerts(&filter, ConcertOrder::Title, page)).await;
    assert_eq!(listed.iter().collect::<Vec<_>>(), expected);
}

pub async fn orders_performances(bench: RecordBench) {
    let Season { dates, .. } = Season::announce(&bench).await;
    let everything = PerformanceFilter::default();
    let in_frankfurt = PerformanceFilter { location: city("Frankfurt"), ..PerformanceFilter::default() };
    for (filter, order, expected) in [
        (&everything, PerformanceOrder::Start, &[0, 2, 1, 3][..]),
        (&everything, PerformanceOrder::OnSale, &[1, 2, 0, 3]),
        (&everything, PerformanceOrder::Title, &[0, 1, 2, 3]),
        (&in_frankfurt, PerformanceOrder::OnSale, &[1, 2]),
        (&in_frankfurt, PerformanceOrder::Title, &[1, 2]),
    ] {
        let expected: Vec<&Performance> = expected.iter().map(|index: &usize| &dates[*index]).collect();
        for size in SIZES {
            let listed = read_all(size, |page| bench.catalog.performances(filter, order, page)).await;
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{order:?} by {size}");
        }
    }
}

fn listed(venue: &Venue) -> ListedVenue {
    ListedVenue { id: venue.id, name: venue.name.clone(), location: venue.location.clone() }
}

pub async fn lists_venues(bench: RecordBench) {
    let everything = VenueFilter::default();
    assert_eq!(read_all(9, |page| bench.catalog.venues(&everything, page)).await, []);
    let Season { venues, .. } = Season::announce(&bench).await;
    made(bench.catalog.add_venue(venue(small_chart()), None).await);
    let expected: Vec<ListedVenue> = [1, 3, 2, 0].map(|index: usize| listed(&venues[index])).into();
    for size in SIZES {
        let listed = read_all(size, |page| bench.catalog.venues(&everything, page)).await;
        assert_eq!(listed, expected, "by {size}");
    }
}

pub async fn finds_venues(bench: RecordBench) {
    let Season { venues, .. } = Season::announce(&bench).await;
    let at = |location| VenueFilter { location, ..VenueFilter::default() };
    let of = |text| VenueFilter { search: Some(search(text)), ..VenueFilter::default() };
    let from = |secs| VenueFilter { starts_from: Some(at_secs(secs)), ..VenueFilter::default() };
    for (filter, found) in [
        (of("oper"), &[1, 3][..]),
        (of("koln"), &[0]),
        (of("frank ub"), &[2]),
        (of("per"), &[]),
        (at(city("FRANKFURT")), &[1, 2]),
        (at(both("Frankfurt", "US")), &[2]),
        (at(country("DE")), &[1, 0]),
        (VenueFilter { search: Some(search("oper")), ..at(country("DE")) }, &[1]),
        (from(50_001), &[1, 3]),
        (VenueFilter { location: country("DE"), ..from(50_001) }, &[1]),
        (from(70_001), &[]),
    ] {
        let expected: Vec<ListedVenue> = found.iter().map(|index: &usize| listed(&venues[*index])).collect();
        for size in SIZES {
            let listed = read_all(size, |page| bench.catalog.venues(&filter, page)).await;
            assert_eq!(listed, expected, "{filter:?} by {size}");
        }
    }
}
