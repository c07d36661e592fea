use diesel::QueryResult;
use encore_domain::event::StaffCause;
use serde::{Deserialize, Serialize};

use crate::event_record::{id, optional_id, time};

/// Who of the house made a change.
#[derive(Serialize, Deserialize)]
pub struct CauseRecord {
    entry_id: String,
    operator_id: String,
    request_id: Option<String>,
    at_ms: i64,
}

impl From<&StaffCause> for CauseRecord {
    fn from(it: &StaffCause) -> Self {
        Self {
            entry_id: it.entry.to_string(),
            operator_id: it.operator.to_string(),
            request_id: it.request.map(|id| id.to_string()),
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl CauseRecord {
    pub fn read(self) -> QueryResult<StaffCause> {
        Ok(StaffCause {
            entry: id(&self.entry_id)?,
            operator: id(&self.operator_id)?,
            request: optional_id(self.request_id.as_deref())?,
            at: time(self.at_ms)?,
        })
    }
}
