//! Writes the state of a queue to its record, from which a lost queue is restored, and allots join indexes ahead of their use.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueRecord;
use encore_domain::queue::snapshot::QueueSnapshot;

use super::{Recovery, unless_lost};
use crate::error::WaitingRoomError;
use crate::open_queues::OpenQueue;

/// How many join indexes a lane is allotted at once. A restored queue skips the indexes that were allotted and not given out; no
/// fan sees that. A larger allotment means fewer writes to the records while many fans join.
const ALLOTMENT: u64 = 100_000;
/// A record with nothing new is written again after this long: its age bounds how many fans may have been admitted since.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Recovery {
    /// Writes the state of a queue to its record, if it changed, and allots join indexes to lanes that run short of them.
    pub(crate) async fn checkpoint(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        let performance = open.performance;
        let Some(snapshot) = self.stored_snapshot(performance).await? else { return Ok(()) };
        for (lane, state) in (0..).zip(&snapshot.lanes) {
            // Before the draw the entries say how many joined.
            let in_use = state.limit > 0 && (!snapshot.draws || state.drawn.is_some());
            if in_use {
                self.raise_limit(performance, &snapshot, lane, ALLOTMENT / 2).await?;
            }
        }
        let record = snapshot.record(self.ports.clock.now(), &open.queue.settings);
        let is_news = |before: &QueueRecord| {
            !before.says_the_same(&record) || before.recorded_at + WRITE_AGAIN_AFTER <= record.recorded_at
        };
        if self.checkpoints().get(&performance).is_none_or(is_news) {
            // It is never closed.
            let _permit = self.recording.acquire().await;
            self.ports.records.keep(performance, &record).await?;
            self.checkpoints().insert(performance, record);
        }
        Ok(())
    }

    /// Forgets the checkpoints and the draws of the queues that are not open. What is needed again is learnt again.
    pub(crate) fn forget_closed(&self, is_open: impl Fn(PerformanceId) -> bool) {
        self.checkpoints().retain(|performance, _| is_open(*performance));
        self.known_draws.retain(is_open);
    }

    /// Allots more indexes to a lane that has given out all it had.
    pub(super) async fn allot(&self, performance: PerformanceId, lane: u8) -> Result<(), WaitingRoomError> {
        let _exclusive = self.repairing.lock(performance).await;
        if let Some(snapshot) = self.stored_snapshot(performance).await? {
            self.raise_limit(performance, &snapshot, lane, 0).await?;
        }
        Ok(())
    }

    /// Raises the limit of a lane that has at most `left` indexes left.
    async fn raise_limit(
        &self,
        performance: PerformanceId,
        snapshot: &QueueSnapshot,
        lane: u8,
        left: u64,
    ) -> Result<(), WaitingRoomError> {
        let Some(state) = snapshot.lanes.get(usize::from(lane)) else { return Ok(()) };
        if state.limit.saturating_sub(state.tail) > left {
            return Ok(());
        }
        let limit = self.ports.records.raise_limit(performance, lane, state.tail + ALLOTMENT).await?;
        // Whoever calls a lost queue next restores it, with the raised limit.
        unless_lost(self.ports.queues.extend(performance, snapshot.epoch, lane, limit).await)?;
        Ok(())
    }

    fn checkpoints(&self) -> MutexGuard<'_, HashMap<PerformanceId, QueueRecord>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
