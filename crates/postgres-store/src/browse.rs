//! Listings of the catalogue. A page starts where its index does, so that a late page costs what the first one does: a comparison of the
//! first column alone stands beside that of all columns.

use diesel::dsl::sql;
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::helper_types::AsExprOf;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, LocationFilter, PerformanceCursor, PerformanceFilter,
    PerformanceOrder, VenueCursor, VenueFilter,
};
use encore_domain::catalog::search::Search;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::catalog::{Concert, Performance};
use encore_domain::ids::VenueId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::codec::{comparable_time, read_title};
use crate::location_rows::LocationRow;
use crate::performance_rows::{ConcertRow, PerformanceRow};
use crate::schema::{concerts, performances, venues};

/// The rows of a page, and one that shows whether there is a next page.
fn rows_of<C>(page: &PageRequest<C>) -> i64 {
    i64::from(page.size) + 1
}

pub async fn concerts(
    conn: &mut AsyncPgConnection,
    filter: &ConcertFilter,
    order: ConcertOrder,
    page: PageRequest<ConcertCursor>,
) -> QueryResult<Page<Concert, ConcertCursor>> {
    let mut query = concerts::table.select((ConcertRow::as_select(), concerts::title_key)).into_boxed();
    if let Some(search) = &filter.search {
        query = query.filter(finds(CONCERT_WORDS, search));
    }
    if filter.with_performance().is_some() {
        let mut played = performances::table.select(performances::concert_id).into_boxed();
        played = played.filter(performances::withdrawn_at.is_null());
        if let Some(from) = filter.starts_from {
            played = played.filter(performances::starts_at.ge(comparable_time(from)));
        }
        if !filter.location.wants_all() {
            played = played.filter(performances::venue_id.eq_any(venues_at(&filter.location)));
        }
        query = query.filter(concerts::id.eq_any(played));
    }
    query = match (order, page.after.clone()) {
        (ConcertOrder::Creation, None) => query.order(concerts::id),
        (ConcertOrder::Creation, Some((_, id))) => query.filter(concerts::id.gt(id.0)).order(concerts::id),
        (ConcertOrder::Title, None) => query.order((concerts::title_key, concerts::id)),
        (ConcertOrder::Title, Some((title, id))) => {
            let title = title.as_str().to_owned();
            let same = concerts::title_key.eq(title.clone()).and(concerts::id.gt(id.0));
            let later = concerts::title_key.gt(title.clone()).or(same);
            query.filter(concerts::title_key.ge(title)).filter(later).order((concerts::title_key, concerts::id))
        }
    };
    let rows: Vec<(ConcertRow, String)> = query.limit(rows_of(&page)).load(conn).await?;
    let listed = rows.into_iter().map(|(row, title)| Ok((row.into_concert()?, SortKey::read(&title))));
    let listed = listed.collect::<QueryResult<Vec<(Concert, SortKey)>>>()?;
    let cursor = |(concert, title): &(Concert, SortKey)| match order {
        ConcertOrder::Creation => (SortKey::default(), concert.id),
        ConcertOrder::Title => (title.clone(), concert.id),
    };
    Ok(Page::from_rows(listed, page.size, cursor).map(|(concert, _)| concert))
}

pub async fn performances(
    conn: &mut AsyncPgConnection,
    filter: &PerformanceFilter,
    order: PerformanceOrder,
    page: PageRequest<PerformanceCursor>,
) -> QueryResult<Page<Performance, PerformanceCursor>> {
    let PerformanceFilter { concert, search, venue, location, starts_from, starts_before, on_sale_at } = filter;
    let listed = performances::table.inner_join(concerts::table).filter(performances::withdrawn_at.is_null());
    let mut query = listed.select((PerformanceRow::as_select(), concerts::title_key)).into_boxed();
    if let Some(concert) = concert {
        query = query.filter(performances::concert_id.eq(concert.0));
    }
    if let Some(search) = search {
        query = query.filter(finds(CONCERT_WORDS, search));
    }
    if let Some(venue) = venue {
        query = query.filter(performances::venue_id.eq(venue.0));
    }
    if !location.wants_all() {
        query = query.filter(performances::venue_id.eq_any(venues_at(location)));
    }
    if let Some(from) = starts_from {
        query = query.filter(performances::starts_at.ge(comparable_time(*from)));
    }
    if let Some(before) = starts_before {
        query = query.filter(performances::starts_at.lt(comparable_time(*before)));
    }
    if let Some(now) = on_sale_at {
        query = query.filter(performances::opens_at.le(now)).filter(performances::closes_at.gt(now));
    }
    if let Some(PerformanceCursor { title, at, id }) = page.after.clone() {
        let at = comparable_time(at);
        let (starts_at, opens_at, later_id) =
            (performances::starts_at, performances::opens_at, performances::id.gt(id.0));
        query = match order {
            PerformanceOrder::Start => {
                query.filter(starts_at.ge(at)).filter(starts_at.gt(at).or(starts_at.eq(at).and(later_id)))
            }
            PerformanceOrder::OnSale => {
                query.filter(opens_at.ge(at)).filter(opens_at.gt(at).or(opens_at.eq(at).and(later_id)))
            }
            PerformanceOrder::Title => {
                let (key, title) = (concerts::title_key, title.as_str().to_owned());
                let same_title = key.eq(title.clone()).and(starts_at.gt(at).or(starts_at.eq(at).and(later_id)));
                query.filter(key.ge(title.clone())).filter(key.gt(title).or(same_title))
            }
        };
    }
    query = match order {
        PerformanceOrder::Start => query.order((performances::starts_at, performances::id)),
        PerformanceOrder::OnSale => query.order((performances::opens_at, performances::id)),
        PerformanceOrder::Title => query.order((concerts::title_key, performances::starts_at, performances::id)),
    };
    let rows: Vec<(PerformanceRow, String)> = query.limit(rows_of(&page)).load(conn).await?;
    let listed = rows.into_iter().map(|(row, title)| Ok((row.into_performance()?, SortKey::read(&title))));
    let listed = listed.collect::<QueryResult<Vec<(Performance, SortKey)>>>()?;
    let page = Page::from_rows(listed, page.size, |(performance, title)| order.cursor(performance, title));
    Ok(page.map(|(performance, _)| performance))
}

pub async fn venues(
    conn: &mut AsyncPgConnection,
    filter: &VenueFilter,
    page: PageRequest<VenueCursor>,
) -> QueryResult<Page<ListedVenue, VenueCursor>> {
    let columns = (venues::id, venues::name, venues::name_key, LocationRow::as_select());
    let mut query = venues::table.select(columns).into_boxed();
    if let Some(search) = &filter.search {
        query = query.filter(finds(VENUE_WORDS, search));
    }
    if let Some(city) = &filter.location.city {
        query = query.filter(venues::city_key.eq(city.as_str().to_owned()));
    }
    if let Some(country) = filter.location.country {
        query = query.filter(venues::country.eq(country.code().to_owned()));
    }
    query = query.filter(venues::id.eq_any(venues_with_performance(filter.starts_from)));
    if let Some((name, id)) = page.after.clone() {
        let name = name.as_str().to_owned();
        let same = venues::name_key.eq(name.clone()).and(venues::id.gt(id.0));
        query = query.filter(venues::name_key.ge(name.clone())).filter(venues::name_key.gt(name).or(same));
    }
    let query = query.order((venues::name_key, venues::id)).limit(rows_of(&page));
    let rows: Vec<(Uuid, String, String, LocationRow)> = query.load(conn).await?;
    let listed = rows.into_iter().map(|(id, name, key, location)| {
        let venue = ListedVenue { id: VenueId(id), name: read_title(&name)?, location: location.into_location()? };
        Ok((venue, SortKey::read(&key)))
    });
    let listed = listed.collect::<QueryResult<Vec<(ListedVenue, SortKey)>>>()?;
    Ok(Page::from_rows(listed, page.size, |(venue, key)| (key.clone(), venue.id)).map(|(venue, _)| venue))
}

pub async fn venue(conn: &mut AsyncPgConnection, id: VenueId) -> QueryResult<Option<ListedVenue>> {
    let query = venues::table.find(id.0).select((venues::name, LocationRow::as_select()));
    let row: Option<(String, LocationRow)> = query.first(conn).await.optional()?;
    row.map(|(name, location)| Ok(ListedVenue { id, name: read_title(&name)?, location: location.into_location()? }))
        .transpose()
}

/// The ids of the venues of a city or country.
fn venues_at(location: &LocationFilter) -> venues::BoxedQuery<'_, Pg, diesel::sql_types::Uuid> {
    let mut query = venues::table.select(venues::id).into_boxed();
    if let Some(city) = &location.city {
        query = query.filter(venues::city_key.eq(city.as_str()));
    }
    if let Some(country) = location.country {
        query = query.filter(venues::country.eq(country.code().to_owned()));
    }
    query
}

/// The ids of the venues that have a performance, at this moment or later if there is one.
fn venues_with_performance(
    starts_from: Option<Timestamp>,
) -> performances::BoxedQuery<'static, Pg, diesel::sql_types::Uuid> {
    let mut query = performances::table.select(performances::venue_id).into_boxed();
    query = query.filter(performances::withdrawn_at.is_null());
    if let Some(from) = starts_from {
        query = query.filter(performances::starts_at.ge(comparable_time(from)));
    }
    query
}

/// What the index of the words of concerts, and that of venues, is made of.
const CONCERT_WORDS: &str = "array_to_tsvector(concerts.search_words) @@ ";
const VENUE_WORDS: &str = "array_to_tsvector(venues.search_words) @@ ";

/// What has a word with each of these beginnings. The indexes are by the words as they are, without a dictionary.
fn finds(words: &str, search: &Search) -> SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<String, Text>>> {
    // Words are of letters and digits alone, so nothing is to be escaped.
    let beginnings = search.beginnings().iter().map(|word| format!("'{word}':*")).collect::<Vec<_>>().join(" & ");
    sql(words).bind::<Text, _>(beginnings).sql("::tsquery")
}
