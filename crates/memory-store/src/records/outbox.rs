use encore_domain::event::{Event, OutboxRecord};
use encore_domain::time::Timestamp;

/// The record of sequence n is at index n − 1.
#[derive(Default)]
pub struct OutboxRecords(pub Vec<WrittenEvent>);

/// A record, and when what it tells happened.
pub struct WrittenEvent {
    pub record: OutboxRecord,
    pub at: Timestamp,
}

impl OutboxRecords {
    /// Writes an event, in the critical section that it describes.
    pub fn write(&mut self, event: &Event) {
        let sequence = i64::try_from(self.0.len()).unwrap_or(i64::MAX).saturating_add(1);
        let record = OutboxRecord { sequence, id: event.id(), kind: event.kind().to_owned(), key: event.key() };
        self.0.push(WrittenEvent { record, at: event.at() });
    }
}
