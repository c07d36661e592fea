//! Drafts of performances as rows.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use encore_domain::catalog::draft::{Draft, DraftQueue, DraftState};
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::{OnSaleWindow, Performance, PriceList};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use serde_json::Value;
use uuid::Uuid;

use crate::codec::{duration_ms, read_currency, read_duration_ms};
use crate::error::corrupt;
use crate::queue_rows::QueueRow;
use crate::schema::performance_drafts;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = performance_drafts, treat_none_as_null = true)]
pub struct DraftRow {
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
    queue: Option<Value>,
    pre_queue_opens_at: Option<DateTime<Utc>>,
    state: String,
}

impl DraftRow {
    pub fn of(draft: &Draft) -> QueryResult<Self> {
        let Performance { id, concert, venue, starts_at, on_sale, prices, seats_per_fan, hold_for, .. } =
            &draft.performance;
        let queue = draft.queue.as_ref().map(|queue| serde_json::to_value(QueueRow::from(&queue.settings)));
        Ok(Self {
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
            queue: queue.transpose().map_err(|error| corrupt("queue of a draft", &error))?,
            pre_queue_opens_at: draft.queue.as_ref().and_then(|queue| queue.pre_queue_opens_at),
            state: draft.state.name().to_owned(),
        })
    }

    pub fn into_draft(self) -> QueryResult<Draft> {
        let pre_queue_opens_at = self.pre_queue_opens_at;
        let read = |queue: Value| -> QueryResult<DraftQueue> {
            let row: QueueRow = serde_json::from_value(queue).map_err(|error| corrupt("queue of a draft", &error))?;
            Ok(DraftQueue { settings: row.into_settings()?, pre_queue_opens_at })
        };
        let queue = self.queue.map(read).transpose()?;
        Ok(Draft {
            performance: Performance {
                id: PerformanceId(self.id),
                concert: ConcertId(self.concert_id),
                venue: VenueId(self.venue_id),
                starts_at: self.starts_at,
                on_sale: OnSaleWindow { opens_at: self.opens_at, closes_at: self.closes_at },
                prices: PriceList { currency: read_currency(&self.currency)?, minor_by_grade: self.prices_minor },
                seats_per_fan: self.seats_per_fan.cast_unsigned(),
                hold_for: read_duration_ms(self.hold_for_ms),
                has_queue: queue.is_some(),
                amended: Amendments::default(),
            },
            queue,
            state: DraftState::of_name(&self.state).ok_or_else(|| corrupt("state of a draft", &self.state))?,
        })
    }
}
