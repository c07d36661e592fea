use diesel::QueryResult;
use encore_domain::event::{Event, QueueChange, QueueOpening, StaffCause};
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use serde::{Deserialize, Serialize};

use crate::event_record::cause::CauseRecord;
use crate::event_record::{id, time};
use crate::queue_rows::QueueRow;

/// A queue was changed. The kind of the event says what of it.
#[derive(Serialize, Deserialize)]
pub struct QueueChanged {
    performance_id: String,
    settings: QueueRow,
    cause: CauseRecord,
}

impl QueueChanged {
    pub fn of(performance: PerformanceId, settings: &QueueSettings, cause: &StaffCause) -> Self {
        Self { performance_id: performance.to_string(), settings: settings.into(), cause: cause.into() }
    }

    pub fn read(self, change: QueueChange) -> QueryResult<Event> {
        let (performance, settings) = (id(&self.performance_id)?, self.settings.into_settings()?);
        Ok(Event::QueueChanged { performance, change, settings, cause: self.cause.read()? })
    }
}

/// A queue opened by the clock.
#[derive(Serialize, Deserialize)]
pub struct QueueOpened {
    performance_id: String,
    opened_at_ms: i64,
    calls_from_ms: i64,
    at_ms: i64,
}

impl From<&QueueOpening> for QueueOpened {
    fn from(it: &QueueOpening) -> Self {
        Self {
            performance_id: it.performance.to_string(),
            opened_at_ms: it.opened_at.timestamp_millis(),
            calls_from_ms: it.calls_from.timestamp_millis(),
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl QueueOpened {
    pub fn read(self) -> QueryResult<Event> {
        Ok(Event::QueueOpened(QueueOpening {
            performance: id(&self.performance_id)?,
            opened_at: time(self.opened_at_ms)?,
            calls_from: time(self.calls_from_ms)?,
            at: time(self.at_ms)?,
        }))
    }
}
