use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::ports::Outbox;
use encore_domain::time::Timestamp;

use crate::records::MemoryRecords;

/// [`Outbox`] in process.
pub struct MemoryOutbox(MemoryRecords);

/// The record with sequence number n is at index n − 1.
#[derive(Default)]
pub struct OutboxRecords(pub Vec<WrittenEvent>);

/// A record, and the time of its event.
pub struct WrittenEvent {
    pub record: OutboxRecord,
    pub at: Timestamp,
}

impl OutboxRecords {
    /// Writes an event. It must be called in the critical section of the change.
    pub fn write(&mut self, event: &Event) {
        let sequence = i64::try_from(self.0.len()).unwrap_or(i64::MAX).saturating_add(1);
        let record = OutboxRecord { sequence, id: event.id(), kind: event.kind().to_owned(), key: event.key() };
        self.0.push(WrittenEvent { record, at: event.at() });
    }
}

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
