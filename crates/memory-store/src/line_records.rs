use std::collections::HashMap;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::LineRecords;
use encore_domain::queue::LineRecord;

use crate::records::MemoryRecords;

/// [`LineRecords`] in process.
pub struct MemoryLineRecords(MemoryRecords);

/// The records of the lines.
pub type KeptLines = HashMap<PerformanceId, LineRecord>;

impl MemoryLineRecords {
    /// Over shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl LineRecords for MemoryLineRecords {
    async fn begin(&self, performance: PerformanceId, record: LineRecord) -> Result<LineRecord, Unavailable> {
        Ok(self.0.lock().lines.entry(performance).or_insert(record).clone())
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<LineRecord>, Unavailable> {
        Ok(self.0.lock().lines.get(&performance).cloned())
    }

    async fn keep(&self, performance: PerformanceId, record: &LineRecord) -> Result<(), Unavailable> {
        let lines = &mut self.0.lock().lines;
        let is_newer = |kept: &&mut LineRecord| kept.epoch == record.epoch && kept.recorded_at < record.recorded_at;
        if let Some(kept) = lines.get_mut(&performance).filter(is_newer) {
            for (lane, new) in kept.lanes.iter_mut().zip(&record.lanes) {
                lane.head = lane.head.max(new.head);
                lane.tail = lane.tail.max(new.tail);
            }
            kept.recorded_at = record.recorded_at;
            kept.inside.clone_from(&record.inside);
            kept.unspent = record.unspent;
        }
        Ok(())
    }

    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> Result<u64, Unavailable> {
        let lines = &mut self.0.lock().lines;
        let lane = lines.get_mut(&performance).and_then(|kept| kept.lanes.get_mut(usize::from(lane)));
        Ok(lane.map_or(0, |lane| {
            lane.limit = lane.limit.max(limit);
            lane.limit
        }))
    }
}
