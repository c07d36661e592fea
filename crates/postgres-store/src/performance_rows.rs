//! Concerts and performances as rows.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use uuid::Uuid;

use crate::codec::{duration_ms, read_currency, read_duration_ms, read_title};
use crate::schema::{concerts, performances};

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

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = performances)]
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
}

impl From<&Performance> for PerformanceRow {
    fn from(performance: &Performance) -> Self {
        let Performance { id, concert, venue, starts_at, on_sale, prices, seats_per_fan, hold_for, has_queue } =
            performance;
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
            has_queue: *has_queue,
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
        })
    }
}
