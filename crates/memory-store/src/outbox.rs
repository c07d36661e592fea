use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::{BACKLOG_COUNTED_MAX, Backlog, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ports::Outbox;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::records::{MemoryRecords, Records};

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
        let outbox = &self.0.lock().outbox;
        let records: Vec<OutboxRecord> = outbox.after(place).take(limit as usize).cloned().collect();
        let end = records.last().map_or(place, |last| last.place);
        Ok(OutboxPage { records, end })
    }

    async fn of_key_after(
        &self,
        key: Uuid,
        place: OutboxPlace,
        until: OutboxPlace,
        limit: u32,
    ) -> Result<OutboxPage, Unavailable> {
        let outbox = &self.0.lock().outbox;
        let of_key = outbox.after(place).take_while(|record| record.place <= until).filter(|record| record.key == key);
        let records: Vec<OutboxRecord> = of_key.take(limit as usize).cloned().collect();
        let is_full = records.len() == limit as usize;
        let reached = outbox.end().max(place).min(until);
        let end = records.last().filter(|_| is_full).map_or(reached, |last| last.place);
        Ok(OutboxPage { records, end })
    }

    async fn find(&self, places: &[OutboxPlace]) -> Result<Vec<OutboxRecord>, Unavailable> {
        let outbox = &self.0.lock().outbox;
        let found =
            places.iter().filter_map(|place| outbox.after(place.before()).next().filter(|it| it.place == *place));
        Ok(found.cloned().collect())
    }

    async fn end(&self) -> Result<OutboxPlace, Unavailable> {
        Ok(self.0.lock().outbox.end())
    }

    async fn backlog(&self, place: OutboxPlace) -> Result<Backlog, Unavailable> {
        let outbox = &self.0.lock().outbox;
        let left = || outbox.after(place).take(usize::try_from(BACKLOG_COUNTED_MAX).unwrap_or(usize::MAX));
        Ok(Backlog { events: left().count() as u64, oldest: left().map(|record| record.at).min() })
    }

    async fn forget(&self, delivered: OutboxPlace, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let Records { outbox, webhooks, .. } = &mut *self.0.lock();
        let delivered = webhooks.needed_after().map_or(delivered, |needed| needed.min(delivered));
        let is_due = |record: &&OutboxRecord| record.place <= delivered && record.at < before;
        let due = outbox.records.iter().take(limit as usize).take_while(is_due).count();
        if due > 0 {
            outbox.records.drain(..due);
            outbox.forgotten_before = outbox.forgotten_before.max(Some(before));
        }
        Ok(due as u64)
    }

    async fn oldest_transaction(&self) -> Result<Option<Timestamp>, Unavailable> {
        // A change is one critical section.
        Ok(None)
    }

    async fn forgotten_before(&self) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.0.lock().outbox.forgotten_before)
    }
}
