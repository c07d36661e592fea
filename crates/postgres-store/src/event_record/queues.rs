use diesel::QueryResult;
use encore_domain::event::{Event, QueueChange, StaffCause};
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use serde::{Deserialize, Serialize};

use crate::event_record::cause::CauseRecord;
use crate::event_record::id;
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
