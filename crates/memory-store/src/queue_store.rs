use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Absent, CutLane, FrozenLane, JoinRefusal, Joined, Joining, Presence, QueueLost, QueueStore, RequestReused,
    TokenRefusal,
};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, LaneNumber, QueueToken, QueueTokenPayload, RestoredQueue, TokenState,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use crate::lock::lock;
use crate::queue::Queue;

/// [`QueueStore`] in process.
#[derive(Default)]
pub struct MemoryQueueStore(Mutex<HashMap<PerformanceId, Arc<Mutex<Queue>>>>);

impl MemoryQueueStore {
    /// Loses a queue, as a flush of Redis would.
    pub fn lose(&self, performance: PerformanceId) {
        lock(&self.0).remove(&performance);
    }

    /// Loses all queues.
    pub fn lose_all(&self) {
        lock(&self.0).clear();
    }

    /// Calls a function with a queue. Returns none if the queue is lost.
    fn with<T>(&self, performance: PerformanceId, act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = lock(&self.0).get(&performance).cloned()?;
        let mut queue = lock(&queue);
        Some(act(&mut queue))
    }

    fn with_queue<T>(
        &self,
        performance: PerformanceId,
        act: impl FnOnce(&mut Queue) -> T,
    ) -> Result<T, PortError<QueueLost>> {
        self.with(performance, act).ok_or(PortError::Refused(QueueLost))
    }

    fn with_token<T>(
        &self,
        token: &QueueToken,
        act: impl FnOnce(&mut Queue) -> Result<T, TokenRefusal>,
    ) -> Result<T, PortError<TokenRefusal>> {
        let done = self.with(token.payload.performance, act).unwrap_or(Err(TokenRefusal::Lost));
        done.map_err(PortError::Refused)
    }
}

#[async_trait]
impl QueueStore for MemoryQueueStore {
    async fn open(&self, performance: PerformanceId, queue: &RestoredQueue) -> Result<bool, Unavailable> {
        let mut queues = lock(&self.0);
        let is_new = !queues.contains_key(&performance);
        if is_new {
            queues.insert(performance, Arc::new(Mutex::new(Queue::open(performance, queue))));
        }
        Ok(is_new)
    }

    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<QueueLost>> {
        let extended = self.with_queue(performance, |queue| {
            let is_same_epoch = queue.epoch() == epoch;
            if is_same_epoch {
                queue.extend(lane, limit);
            }
            is_same_epoch
        })?;
        if extended { Ok(()) } else { Err(PortError::Refused(QueueLost)) }
    }

    async fn join(&self, joining: Joining) -> Result<Joined, PortError<JoinRefusal>> {
        let joined = self.with(joining.performance, |queue| queue.join(&joining)).unwrap_or(Err(JoinRefusal::Lost));
        joined.map_err(PortError::Refused)
    }

    async fn find_join(
        &self,
        performance: PerformanceId,
        request: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, PortError<RequestReused>> {
        let found = self.with(performance, |queue| queue.find_join(&request)).unwrap_or(Ok(None));
        found.map_err(PortError::Refused)
    }

    async fn note_leave(
        &self,
        token: &QueueToken,
        request: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.note_leave(token, request.as_ref(), now))
    }

    async fn show(
        &self,
        performance: PerformanceId,
        tokens: &[QueueToken],
        presence: Presence,
    ) -> Result<Vec<EndedToken>, PortError<TokenRefusal>> {
        let shown = self.with(performance, |queue| queue.show(tokens, presence)).unwrap_or(Err(TokenRefusal::Lost));
        shown.map_err(PortError::Refused)
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable> {
        let copy = self.with(performance, |queue| queue.copy());
        Ok(copy.map(QueueSnapshot::from))
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<QueueLost>> {
        self.with_queue(performance, |queue| queue.admit(terms, now))
    }

    async fn state(&self, token: &QueueToken, now: Timestamp) -> Result<TokenState, PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.state(token, now))
    }

    async fn accept(
        &self,
        token: &QueueToken,
        active_duration: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.accept(token, active_duration, now))
    }

    async fn end(
        &self,
        token: &QueueToken,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.end(token, reason, now))
    }

    async fn spend_hold_try(
        &self,
        token: &QueueToken,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.spend_hold_try(token, tries, now))
    }

    async fn return_hold_try(&self, token: &QueueToken, now: Timestamp) -> Result<(), PortError<TokenRefusal>> {
        self.with_token(token, |queue| queue.return_hold_try(token, now))
    }

    async fn freeze(
        &self,
        performance: PerformanceId,
        joined: &[u64],
    ) -> Result<Option<Vec<FrozenLane>>, PortError<QueueLost>> {
        self.with_queue(performance, |queue| queue.freeze(joined))
    }

    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<QueueLost>> {
        self.with_queue(performance, |queue| queue.cut(lanes, presence))
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<QueueLost>> {
        self.with_queue(performance, |queue| queue.report_present(numbers, drawn, presence))
    }

    async fn abandon_absent(
        &self,
        performance: PerformanceId,
        presence: Presence,
    ) -> Result<Absent, PortError<QueueLost>> {
        self.with_queue(performance, |queue| queue.abandon_absent(presence))
    }
}
