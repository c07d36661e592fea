//! Prints how long the listings of a large catalogue take with and without the index of each: 10,000 concerts with ten dates each, at 500
//! venues in 100 cities of ten countries.
//!
//! `cargo xtask test --workspace --example browse_figures`
#![expect(clippy::expect_used, reason = "it ends with what goes wrong")]

use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_domain::catalog::listing::{
    ConcertFilter, ConcertOrder, LocationFilter, PerformanceCursor, PerformanceFilter, PerformanceOrder, VenueFilter,
};
use encore_domain::catalog::location::{City, Country};
use encore_domain::catalog::search::Search;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::page::PageRequest;
use encore_domain::ports::Catalog;
use encore_domain::time::Timestamp;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{Database, PostgresCatalog};
use uuid::Uuid;

/// How often a listing is asked for. The median is printed.
const TIMES: usize = 41;
/// The catalogue. Names are of small letters and spaces, so that they are their own keys.
const FILL: &str = "
    INSERT INTO venues (id, name, created_at, drawing, city, city_key, country, time_zone, name_key, search_words)
    SELECT venue_id, name, '2026-01-01', '{\"size\": null, \"shapes\": []}', city, city,
        (ARRAY['AT','BE','CH','DE','ES','FR','IT','NL','PL','PT'])[n % 10 + 1], 'Europe/Berlin', name,
        ARRAY['hall', 'h' || n % 97, city_word, 'town']
    FROM (SELECT n, lpad(to_hex(n), 32, '0')::uuid AS venue_id, 'hall h' || n % 97 || ' ' || n AS name,
        'town c' || n % 100 AS city, 'c' || n % 100 AS city_word FROM generate_series(1, 500) AS n) AS venue;
    INSERT INTO concerts (id, title, artist, created_at, search_words, title_key)
    SELECT lpad(to_hex(n), 32, '0')::uuid, title, artist, '2026-01-01',
        ARRAY['w' || n * 7919 % 1000, 't' || n, 'a' || n % 800], title
    FROM (SELECT n, 'w' || n * 7919 % 1000 || ' t' || n AS title, 'a' || n % 800 AS artist
        FROM generate_series(1, 10000) AS n) AS concert;
    INSERT INTO performances (id, concert_id, venue_id, starts_at, opens_at, closes_at, currency, prices_minor, seats_per_fan, hold_for_ms,
        has_queue)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n / 10 % 10000 + 1), 32, '0')::uuid,
        lpad(to_hex(n * 31 % 500 + 1), 32, '0')::uuid, starts_at, starts_at - interval '90 days', starts_at, 'EUR', '{5000}', 8, 300000, false
    FROM (SELECT n, timestamptz '2026-01-01' + interval '7 minutes' * (n::bigint * 48271 % 100003) AS starts_at
        FROM generate_series(0, 99999) AS n) AS date;
    ANALYZE";

/// A listing, and the index that it is there for.
struct Case {
    listing: &'static str,
    index: &'static str,
    ask: Ask,
}

enum Ask {
    Concerts(ConcertFilter, ConcertOrder),
    Performances(PerformanceFilter, PerformanceOrder, Option<PerformanceCursor>),
    Venues(VenueFilter),
}

fn cases() -> Vec<Case> {
    let search = |text| Some(Search::parse(text).expect("words"));
    let city = LocationFilter { city: Some(City::parse("Town C7").expect("a city").key()), country: None };
    let country = LocationFilter { city: None, country: Some(Country::parse("NL").expect("a country")) };
    let moment = |text: &str| text.parse::<Timestamp>().expect("a time");
    let all = PerformanceFilter::default();
    let id = |n| Uuid::from_u128(n);
    let later =
        PerformanceCursor { title: SortKey::default(), at: moment("2027-03-01T00:00:00Z"), id: PerformanceId(id(1)) };
    let dates = |listing, index, filter, order| Case { listing, index, ask: Ask::Performances(filter, order, None) };
    let concerts = |listing, index, filter, order| Case { listing, index, ask: Ask::Concerts(filter, order) };
    let venues = |listing, index, filter| Case { listing, index, ask: Ask::Venues(filter) };
    let (start, title) = (PerformanceOrder::Start, PerformanceOrder::Title);
    let from = Some(moment("2026-09-01T00:00:00Z"));
    vec![
        concerts(
            "concerts by words",
            "concerts_by_words",
            ConcertFilter { search: search("a77"), ..Default::default() },
            ConcertOrder::Creation,
        ),
        concerts("concerts by title", "concerts_by_title", ConcertFilter::default(), ConcertOrder::Title),
        concerts(
            "concerts in a city",
            "venues_of_city",
            ConcertFilter { location: city.clone(), starts_from: from, ..Default::default() },
            ConcertOrder::Title,
        ),
        dates("dates by start", "performances_by_start", PerformanceFilter { starts_from: from, ..all.clone() }, start),
        Case {
            listing: "dates by start, a late page",
            index: "performances_by_start",
            ask: Ask::Performances(all.clone(), start, Some(later)),
        },
        dates("dates of a concert", "performances_of_concert", PerformanceFilter::of_concert(ConcertId(id(77))), start),
        dates(
            "dates at a venue",
            "performances_of_venue",
            PerformanceFilter { venue: Some(VenueId(id(77))), ..all.clone() },
            start,
        ),
        dates(
            "dates in a city",
            "performances_of_venue",
            PerformanceFilter { location: city.clone(), ..all.clone() },
            start,
        ),
        dates(
            "dates in a country",
            "performances_by_start",
            PerformanceFilter { location: country.clone(), starts_from: from, ..all.clone() },
            start,
        ),
        dates("dates by the opening of the sale", "performances_by_opening", all.clone(), PerformanceOrder::OnSale),
        dates("dates by title", "concerts_by_title", all.clone(), title),
        dates("dates by words", "concerts_by_words", PerformanceFilter { search: search("a77"), ..all }, start),
        venues("venues by name", "venues_by_name", VenueFilter::default()),
        venues("venues by words", "venues_by_words", VenueFilter { search: search("hall h7"), ..Default::default() }),
        venues("venues in a city", "venues_of_city", VenueFilter { location: city, ..Default::default() }),
        venues("venues in a country", "venues_of_country", VenueFilter { location: country, ..Default::default() }),
    ]
}

impl Ask {
    async fn once(&self, catalog: &PostgresCatalog) -> usize {
        let listed = match self {
            Self::Concerts(filter, order) => {
                catalog.concerts(filter, *order, PageRequest::first(20)).await.map(|page| page.items.len())
            }
            Self::Performances(filter, order, after) => {
                let page = PageRequest { after: after.clone(), size: 20 };
                catalog.performances(filter, *order, page).await.map(|page| page.items.len())
            }
            Self::Venues(filter) => catalog.venues(filter, PageRequest::first(20)).await.map(|page| page.items.len()),
        };
        listed.expect("Postgres answers")
    }

    /// The median time of the listing, and how many items it has.
    async fn time(&self, catalog: &PostgresCatalog) -> (Duration, usize) {
        let mut times = Vec::with_capacity(TIMES);
        let mut items = 0;
        for _ in 0..TIMES {
            let before = Instant::now();
            items = self.once(catalog).await;
            times.push(before.elapsed());
        }
        times.sort_unstable();
        (times[TIMES / 2], items)
    }
}

#[tokio::main]
async fn main() {
    let server = std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
    let scratch = ScratchDatabase::create(&server).await;
    let mut conn =
        AsyncPgConnection::establish(&scratch.url()).await.expect("the scratch database accepts connections");
    conn.batch_execute(FILL).await.expect("the catalogue is filled");
    println!("| listing | index | items | without, ms | with, ms |\n|---|---|---|---|---|");
    for Case { listing, index, ask } in cases() {
        let (with, items) = timed(&scratch, &ask).await;
        let definition = definition(&mut conn, index).await;
        conn.batch_execute(&format!("DROP INDEX {index}")).await.expect("an index");
        let (without, _) = timed(&scratch, &ask).await;
        conn.batch_execute(&format!("{definition}; ANALYZE")).await.expect("an index");
        let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1_000.0);
        println!("| {listing} | `{index}` | {items} | {} | {} |", millis(without), millis(with));
    }
}

/// Asks over new connections, which have no plans.
async fn timed(scratch: &ScratchDatabase, ask: &Ask) -> (Duration, usize) {
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    ask.time(&PostgresCatalog::new(database)).await
}

async fn definition(conn: &mut AsyncPgConnection, index: &str) -> String {
    let query =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(&format!("pg_get_indexdef('{index}'::regclass)")));
    query.get_result(conn).await.expect("an index")
}
