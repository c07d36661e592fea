use std::collections::VecDeque;

use encore_domain::event::relay::RelayPosition;
use encore_domain::event::{Event, OutboxPlace, OutboxRecord};
use encore_domain::time::Timestamp;
use uuid::Uuid;

/// The events that are kept, in the order in which they were written.
#[derive(Default)]
pub struct OutboxRecords {
    pub records: VecDeque<OutboxRecord>,
    /// How many were ever written.
    written: i64,
    /// Events before this moment may have been deleted.
    pub forgotten_before: Option<Timestamp>,
}

/// Where the relay is, and who runs it until when.
#[derive(Default)]
pub struct RelayRecord {
    pub position: RelayPosition,
    pub lease: Option<(Uuid, Timestamp)>,
}

impl OutboxRecords {
    /// Writes an event, in the critical section that it describes.
    pub fn write(&mut self, event: &Event) {
        self.written += 1;
        let place = OutboxPlace { window: 0, sequence: self.written };
        let (id, kind, key, at) = (event.id(), event.kind().to_owned(), event.key(), event.at());
        self.records.push_back(OutboxRecord { place, id, kind, key, at, event: Ok(event.clone()) });
    }

    /// The place of the record that was written last.
    pub fn end(&self) -> OutboxPlace {
        OutboxPlace { window: 0, sequence: self.written }
    }

    /// The records after a place.
    pub fn after(&self, place: OutboxPlace) -> impl Iterator<Item = &OutboxRecord> {
        let first = self.records.partition_point(|record| record.place <= place);
        self.records.range(first..)
    }
}
