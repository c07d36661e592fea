use diesel::QueryResult;
use encore_domain::catalog::{OnSaleWindow, Performance, PriceList};
use encore_domain::event::{Event, StaffCause};
use encore_domain::ids::PerformanceId;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec::{duration_ms, read_currency, read_duration_ms};
use crate::error::corrupt;
use crate::event_record::cause::CauseRecord;
use crate::event_record::{id, optional_time, time};

/// A performance was put into the catalogue.
#[derive(Serialize, Deserialize)]
pub struct Published {
    performance: PerformanceRecord,
    pre_queue_opens_at_ms: Option<i64>,
    cause: CauseRecord,
}

impl Published {
    pub fn of(performance: &Performance, pre_queue_opens_at: Option<Timestamp>, cause: &StaffCause) -> Self {
        let pre_queue_opens_at_ms = pre_queue_opens_at.map(|at| at.timestamp_millis());
        Self { performance: performance.into(), pre_queue_opens_at_ms, cause: cause.into() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let performance = self.performance.read()?;
        let pre_queue_opens_at = optional_time(self.pre_queue_opens_at_ms)?;
        Ok(Event::PerformancePublished { performance, pre_queue_opens_at, cause: self.cause.read()? })
    }
}

/// An operator cancelled a performance.
#[derive(Serialize, Deserialize)]
pub struct CancelledByOperator {
    performance_id: String,
    reason: String,
    cause: CauseRecord,
}

impl CancelledByOperator {
    pub fn of(performance: PerformanceId, reason: &OperatorReason, cause: &StaffCause) -> Self {
        Self { performance_id: performance.to_string(), reason: reason.as_str().to_owned(), cause: cause.into() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let reason = OperatorReason::parse(&self.reason).map_err(|_| corrupt("reason in an event", &self.reason))?;
        Ok(Event::PerformanceCancelled { performance: id(&self.performance_id)?, reason, cause: self.cause.read()? })
    }
}

#[derive(Serialize, Deserialize)]
struct PerformanceRecord {
    id: String,
    concert_id: String,
    venue_id: String,
    starts_at_ms: i64,
    opens_at_ms: i64,
    closes_at_ms: i64,
    currency: String,
    /// By the index of the grade; none if it is not for sale.
    prices_minor: Vec<Option<i64>>,
    seats_per_fan: u32,
    hold_for_ms: i64,
    has_queue: bool,
}

impl From<&Performance> for PerformanceRecord {
    fn from(it: &Performance) -> Self {
        Self {
            id: it.id.to_string(),
            concert_id: it.concert.to_string(),
            venue_id: it.venue.to_string(),
            starts_at_ms: it.starts_at.timestamp_millis(),
            opens_at_ms: it.on_sale.opens_at.timestamp_millis(),
            closes_at_ms: it.on_sale.closes_at.timestamp_millis(),
            currency: it.prices.currency.to_string(),
            prices_minor: it.prices.minor_by_grade.clone(),
            seats_per_fan: it.seats_per_fan,
            hold_for_ms: duration_ms(it.hold_for),
            has_queue: it.has_queue,
        }
    }
}

impl PerformanceRecord {
    fn read(self) -> QueryResult<Performance> {
        Ok(Performance {
            id: id(&self.id)?,
            concert: id(&self.concert_id)?,
            venue: id(&self.venue_id)?,
            starts_at: time(self.starts_at_ms)?,
            on_sale: OnSaleWindow { opens_at: time(self.opens_at_ms)?, closes_at: time(self.closes_at_ms)? },
            prices: PriceList { currency: read_currency(&self.currency)?, minor_by_grade: self.prices_minor },
            seats_per_fan: self.seats_per_fan,
            hold_for: read_duration_ms(self.hold_for_ms),
            has_queue: self.has_queue,
        })
    }
}
