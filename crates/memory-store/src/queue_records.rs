use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::QueueRecords;
use encore_domain::queue::{EndReason, EndedToken, QueueRecord, QueueTokenPayload};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::records::{MemoryRecords, Records};

/// [`QueueRecords`] in process.
pub struct MemoryQueueRecords(MemoryRecords);

impl MemoryQueueRecords {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl QueueRecords for MemoryQueueRecords {
    async fn begin(&self, performance: PerformanceId, record: QueueRecord) -> Result<QueueRecord, Unavailable> {
        Ok(self.0.lock().queues.entry(performance).or_insert(record).clone())
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<QueueRecord>, Unavailable> {
        Ok(self.0.lock().queues.get(&performance).cloned())
    }

    async fn keep(&self, performance: PerformanceId, record: &QueueRecord) -> Result<(), Unavailable> {
        let queues = &mut self.0.lock().queues;
        let is_newer = |old: &&mut QueueRecord| old.epoch == record.epoch && old.recorded_at < record.recorded_at;
        if let Some(old) = queues.get_mut(&performance).filter(is_newer) {
            for (lane, new) in old.lanes.iter_mut().zip(&record.lanes) {
                lane.head = lane.head.max(new.head);
                lane.tail = lane.tail.max(new.tail);
            }
            old.recorded_at = record.recorded_at;
            old.inside.clone_from(&record.inside);
            old.unspent = record.unspent;
        }
        Ok(())
    }

    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> Result<u64, Unavailable> {
        let queues = &mut self.0.lock().queues;
        let lane = queues.get_mut(&performance).and_then(|record| record.lanes.get_mut(usize::from(lane)));
        Ok(lane.map_or(0, |lane| {
            lane.limit = lane.limit.max(limit);
            lane.limit
        }))
    }

    async fn note_ended(
        &self,
        performance: PerformanceId,
        epoch: i64,
        ended: &[EndedToken],
    ) -> Result<(), Unavailable> {
        self.0.lock().ended_tokens.insert_all(performance, epoch, ended);
        Ok(())
    }

    async fn ended(&self, performance: PerformanceId, epoch: i64) -> Result<Vec<EndedToken>, Unavailable> {
        Ok(self.0.lock().ended_tokens.of_queue(performance, epoch))
    }

    async fn forget_past(&self, closed_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let Records { catalog, ended_tokens, draw_entries, .. } = &mut *self.0.lock();
        let limit = limit as usize;
        let past = catalog.by_end_of_sale.range(..=(closed_by, PerformanceId(Uuid::max()))).map(|(_, id)| *id);
        let mut forgotten = 0;
        for performance in past {
            forgotten += ended_tokens.forget(performance, limit - forgotten);
            forgotten += draw_entries.forget(performance, limit - forgotten);
        }
        Ok(forgotten as u64)
    }

    async fn find_ended(&self, payload: &QueueTokenPayload) -> Result<Option<EndReason>, Unavailable> {
        Ok(self.0.lock().ended_tokens.find(payload))
    }
}
