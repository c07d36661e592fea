use encore_domain::event::{Event, OutboxPlace, OutboxRecord};

/// All events, in the order in which they were written.
#[derive(Default)]
pub struct OutboxRecords(pub Vec<OutboxRecord>);

impl OutboxRecords {
    /// Writes an event, in the critical section that it describes.
    pub fn write(&mut self, event: &Event) {
        let sequence = i64::try_from(self.0.len()).unwrap_or(i64::MAX).saturating_add(1);
        let place = OutboxPlace { window: 0, sequence };
        let (id, kind, key, at) = (event.id(), event.kind().to_owned(), event.key(), event.at());
        self.0.push(OutboxRecord { place, id, kind, key, at });
    }
}
