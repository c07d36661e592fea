//! Concerts and performances as rows.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::catalog::performance_change::{Amendments, ChangeCursor, Postponed};
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::codec::{comparable_time, duration_ms, read_currency, read_duration_ms, read_title};
use crate::error::corrupt;
use crate::schema::{concerts, performances};
use crate::statement::{Cached, sql};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = concerts)]
pub struct ConcertRow {
    id: Uuid,
    title: String,
    artist: String,
    created_at: DateTime<Utc>,
}

impl From<&Concert> for ConcertRow {
    fn from(concert: &Concert) -> Self {
        Self {
            id: concert.id.0,
            title: concert.title.as_str().to_owned(),
            artist: concert.artist.as_str().to_owned(),
            created_at: concert.created_at,
        }
    }
}

impl ConcertRow {
    pub fn into_concert(self) -> QueryResult<Concert> {
        Ok(Concert {
            id: ConcertId(self.id),
            title: read_title(&self.title)?,
            artist: read_title(&self.artist)?,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = performances, treat_none_as_null = true)]
pub struct PerformanceRow {
    id: Uuid,
    concert_id: Uuid,
    venue_id: Uuid,
    starts_at: DateTime<Utc>,
    opens_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
    currency: String,
    prices_minor: Vec<Option<i64>>,
    seats_per_fan: i32,
    hold_for_ms: i64,
    has_queue: bool,
    revision: i32,
    postponed_from: Option<DateTime<Utc>>,
    postponed_at: Option<DateTime<Utc>>,
    refunds_until: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
}

impl From<&Performance> for PerformanceRow {
    fn from(performance: &Performance) -> Self {
        let Performance { id, concert, venue, starts_at, on_sale, prices, seats_per_fan, hold_for, .. } = performance;
        let Amendments { revision, postponed, withdrawn_at } = performance.amended;
        Self {
            id: id.0,
            concert_id: concert.0,
            venue_id: venue.0,
            starts_at: *starts_at,
            opens_at: on_sale.opens_at,
            closes_at: on_sale.closes_at,
            currency: prices.currency.code().to_owned(),
            prices_minor: prices.minor_by_grade.clone(),
            seats_per_fan: seats_per_fan.cast_signed(),
            hold_for_ms: duration_ms(*hold_for),
            has_queue: performance.has_queue,
            revision: revision.cast_signed(),
            postponed_from: postponed.map(|postponed| postponed.from),
            postponed_at: postponed.map(|postponed| postponed.at),
            refunds_until: postponed.map(|postponed| postponed.refunds_until),
            withdrawn_at,
        }
    }
}

impl PerformanceRow {
    pub fn into_performance(self) -> QueryResult<Performance> {
        Ok(Performance {
            id: PerformanceId(self.id),
            concert: ConcertId(self.concert_id),
            venue: VenueId(self.venue_id),
            starts_at: self.starts_at,
            on_sale: OnSaleWindow { opens_at: self.opens_at, closes_at: self.closes_at },
            prices: PriceList { currency: read_currency(&self.currency)?, minor_by_grade: self.prices_minor },
            seats_per_fan: self.seats_per_fan.cast_unsigned(),
            hold_for: read_duration_ms(self.hold_for_ms),
            has_queue: self.has_queue,
            amended: Amendments {
                revision: self.revision.cast_unsigned(),
                postponed: read_postponed(self.postponed_from, self.postponed_at, self.refunds_until)?,
                withdrawn_at: self.withdrawn_at,
            },
        })
    }
}

/// How a performance was postponed. The three columns are set together.
fn read_postponed(
    from: Option<DateTime<Utc>>,
    at: Option<DateTime<Utc>>,
    refunds_until: Option<DateTime<Utc>>,
) -> QueryResult<Option<Postponed>> {
    match (from, at, refunds_until) {
        (Some(from), Some(at), Some(refunds_until)) => Ok(Some(Postponed { from, at, refunds_until })),
        (None, None, None) => Ok(None),
        _ => Err(corrupt("postponement", &"some of its times are missing")),
    }
}

/// When performances were changed last, at or after `since`, and their ids. The column is not in the schema of diesel, whose tables have 16
/// columns at most.
pub async fn changed(
    conn: &mut AsyncPgConnection,
    since: Timestamp,
    after: Option<ChangeCursor>,
    limit: u32,
) -> QueryResult<Vec<ChangeCursor>> {
    const CHANGED: &str = "
        SELECT changed_at, id FROM performances
        WHERE changed_at IS NOT NULL AND changed_at >= $1 AND (changed_at, id) > ($2, $3)
        ORDER BY changed_at, id
        LIMIT $4";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Timestamptz)]
        changed_at: DateTime<Utc>,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let (at, id) = after.unwrap_or((since, PerformanceId(Uuid::nil())));
    let query = sql(CHANGED)
        .bind::<Timestamptz, _>(comparable_time(since))
        .bind::<Timestamptz, _>(comparable_time(at))
        .bind::<SqlUuid, _>(id.0)
        .bind::<BigInt, _>(i64::from(limit));
    let rows: Vec<Row> = Cached(query).load(conn).await?;
    Ok(rows.into_iter().map(|row| (row.changed_at, PerformanceId(row.id))).collect())
}

/// Writes a locked performance that was changed at this moment.
pub async fn change(conn: &mut AsyncPgConnection, performance: &Performance, at: Timestamp) -> QueryResult<()> {
    const CHANGED_AT: &str = "UPDATE performances SET changed_at = $2 WHERE id = $1";
    let id = performance.id.0;
    diesel::update(performances::table.find(id)).set(PerformanceRow::from(performance)).execute(conn).await?;
    Cached(sql(CHANGED_AT).bind::<SqlUuid, _>(id).bind::<Timestamptz, _>(at)).execute(conn).await?;
    Ok(())
}
