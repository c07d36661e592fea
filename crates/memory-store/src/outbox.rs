use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::{OutboxPage, OutboxPlace, OutboxRecord};
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
    /// Everything that is written is committed.
    async fn close_window(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable> {
        let written = &self.0.lock().outbox.0;
        let records: Vec<OutboxRecord> =
            written.iter().filter(|record| record.place > place).take(limit as usize).cloned().collect();
        let end = records.last().map_or(place, |last| last.place);
        Ok(OutboxPage { records, end })
    }
}
