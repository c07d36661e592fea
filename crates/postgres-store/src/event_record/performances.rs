use diesel::QueryResult;
use encore_domain::catalog::performance_change::{Amendments, Postponed};
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
        let (performance, reason) = (id(&self.performance_id)?, read_reason(&self.reason)?);
        Ok(Event::PerformanceCancelled { performance, reason, cause: self.cause.read()? })
    }
}

/// A performance was postponed.
#[derive(Serialize, Deserialize)]
pub struct PostponedEvent {
    performance_id: String,
    before_ms: i64,
    starts_at_ms: i64,
    postponed: PostponedRecord,
    reason: String,
    cause: CauseRecord,
}

impl PostponedEvent {
    pub fn of(
        performance: PerformanceId,
        (before, starts_at): (Timestamp, Timestamp),
        postponed: Postponed,
        reason: &OperatorReason,
        cause: &StaffCause,
    ) -> Self {
        Self {
            performance_id: performance.to_string(),
            before_ms: before.timestamp_millis(),
            starts_at_ms: starts_at.timestamp_millis(),
            postponed: postponed.into(),
            reason: reason.as_str().to_owned(),
            cause: cause.into(),
        }
    }

    pub fn read(self) -> QueryResult<Event> {
        Ok(Event::PerformancePostponed {
            performance: id(&self.performance_id)?,
            before: time(self.before_ms)?,
            starts_at: time(self.starts_at_ms)?,
            postponed: self.postponed.read()?,
            reason: read_reason(&self.reason)?,
            cause: self.cause.read()?,
        })
    }
}

/// The terms of the sale of a performance were changed.
#[derive(Serialize, Deserialize)]
pub struct TermsChanged {
    before: PerformanceRecord,
    after: PerformanceRecord,
    cause: CauseRecord,
}

impl TermsChanged {
    pub fn of(before: &Performance, after: &Performance, cause: &StaffCause) -> Self {
        Self { before: before.into(), after: after.into(), cause: cause.into() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let (before, after) = (self.before.read()?, self.after.read()?);
        Ok(Event::PerformanceChanged { before, after, cause: self.cause.read()? })
    }
}

/// A performance was withdrawn.
#[derive(Serialize, Deserialize)]
pub struct Withdrawn {
    performance_id: String,
    reason: String,
    cause: CauseRecord,
}

impl Withdrawn {
    pub fn of(performance: PerformanceId, reason: &OperatorReason, cause: &StaffCause) -> Self {
        let (performance_id, reason) = (performance.to_string(), reason.as_str().to_owned());
        Self { performance_id, reason, cause: cause.into() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let (performance, reason) = (id(&self.performance_id)?, read_reason(&self.reason)?);
        Ok(Event::PerformanceWithdrawn { performance, reason, cause: self.cause.read()? })
    }
}

fn read_reason(text: &str) -> QueryResult<OperatorReason> {
    OperatorReason::parse(text).map_err(|_| corrupt("reason in an event", text))
}

/// A performance as it was.
#[derive(Serialize, Deserialize)]
pub struct PerformanceRecord {
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
    #[serde(default)]
    revision: u32,
    #[serde(default)]
    postponed: Option<PostponedRecord>,
    #[serde(default)]
    withdrawn_at_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "all are times, and times in payloads name their unit")]
struct PostponedRecord {
    from_ms: i64,
    at_ms: i64,
    refunds_until_ms: i64,
}

impl From<Postponed> for PostponedRecord {
    fn from(it: Postponed) -> Self {
        Self {
            from_ms: it.from.timestamp_millis(),
            at_ms: it.at.timestamp_millis(),
            refunds_until_ms: it.refunds_until.timestamp_millis(),
        }
    }
}

impl PostponedRecord {
    fn read(self) -> QueryResult<Postponed> {
        let Self { from_ms, at_ms, refunds_until_ms } = self;
        Ok(Postponed { from: time(from_ms)?, at: time(at_ms)?, refunds_until: time(refunds_until_ms)? })
    }
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
            revision: it.amended.revision,
            postponed: it.amended.postponed.map(PostponedRecord::from),
            withdrawn_at_ms: it.amended.withdrawn_at.map(|at| at.timestamp_millis()),
        }
    }
}

impl PerformanceRecord {
    pub fn read(self) -> QueryResult<Performance> {
        let amended = Amendments {
            revision: self.revision,
            postponed: self.postponed.map(PostponedRecord::read).transpose()?,
            withdrawn_at: optional_time(self.withdrawn_at_ms)?,
        };
        Ok(Performance {
            amended,
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
