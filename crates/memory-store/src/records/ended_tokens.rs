use std::collections::{BTreeMap, HashMap};

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};

/// The queue tokens that have ended: by performance and epoch, and then by lane and index.
#[derive(Default)]
pub struct EndedTokens(HashMap<(PerformanceId, i64), BTreeMap<(u8, u64), EndReason>>);

impl EndedTokens {
    /// Records the end of a token, unless it has ended. Returns whether this call did it.
    pub fn insert(&mut self, payload: &QueueTokenPayload, reason: EndReason) -> bool {
        let QueueTokenPayload { performance, epoch, lane, index, .. } = *payload;
        self.insert_all(performance, epoch, &[EndedToken { lane, index, reason }]) == 1
    }

    /// The same for tokens of one queue. Returns how many had not ended.
    pub fn insert_all(&mut self, performance: PerformanceId, epoch: i64, ended: &[EndedToken]) -> usize {
        let of_queue = self.0.entry((performance, epoch)).or_default();
        let before = of_queue.len();
        for EndedToken { lane, index, reason } in ended {
            of_queue.entry((*lane, *index)).or_insert(*reason);
        }
        of_queue.len() - before
    }

    /// Takes back the end of a token.
    pub fn remove(&mut self, performance: PerformanceId, epoch: i64, lane: u8, index: u64) {
        if let Some(of_queue) = self.0.get_mut(&(performance, epoch)) {
            of_queue.remove(&(lane, index));
        }
    }

    /// Deletes up to `limit` ends of tokens of a performance. Returns how many.
    pub fn forget(&mut self, performance: PerformanceId, limit: usize) -> usize {
        let mut forgotten = 0;
        for (_, of_queue) in self.0.iter_mut().filter(|((of, _), _)| *of == performance) {
            while forgotten < limit && of_queue.pop_first().is_some() {
                forgotten += 1;
            }
        }
        forgotten
    }

    /// Why a token has ended, if it has.
    pub fn find(&self, payload: &QueueTokenPayload) -> Option<EndReason> {
        self.0.get(&(payload.performance, payload.epoch))?.get(&(payload.lane, payload.index)).copied()
    }

    /// The ended tokens of a queue.
    pub fn of_queue(&self, performance: PerformanceId, epoch: i64) -> Vec<EndedToken> {
        let of_queue = self.0.get(&(performance, epoch)).into_iter().flatten();
        of_queue.map(|(&(lane, index), &reason)| EndedToken { lane, index, reason }).collect()
    }
}
