use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::OutboxRecord;
use encore_domain::ports::Outbox;

use crate::records::MemoryRecords;

/// [`Outbox`] in process.
pub struct MemoryOutbox(MemoryRecords);

impl MemoryOutbox {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn after(&self, sequence: i64, limit: u32) -> Result<Vec<OutboxRecord>, Unavailable> {
        let records = &self.0.lock().outbox.0;
        let seen = usize::try_from(sequence).unwrap_or(0);
        Ok(records.iter().skip(seen).take(limit as usize).map(|written| written.record.clone()).collect())
    }
}
