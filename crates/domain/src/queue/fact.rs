//! What happens to the fans of a queue, for those who look back at a sale. Facts are best effort: they are kept in memory until they are
//! published, and dropped when there are too many.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{PerformanceId, UserId};
use crate::queue::{EndReason, QueueTokenPayload};
use crate::time::Timestamp;

/// The most facts that wait to be published: those of some seconds of a rush, in about ten megabytes.
pub const FACTS_KEPT_MAX: usize = 100_000;

/// What happened to a queue token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFactKind {
    /// It was given out.
    Joined,
    /// It was called. An instance knows it of the fans who watch or ask there.
    Called,
    /// The call was accepted.
    Accepted {
        /// The deadline of the admission.
        until: Timestamp,
    },
    /// It ended.
    Ended(EndReason),
}

/// A fact about a queue token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFact {
    /// The performance of the queue.
    pub performance: PerformanceId,
    /// The run of the queue.
    pub epoch: i64,
    /// The index of the lane.
    pub lane: u8,
    /// The index of the token in the lane. With the run and the lane it says which token it is.
    pub index: u64,
    /// The fan; none where only the token is known.
    pub user: Option<UserId>,
    /// What happened.
    pub kind: QueueFactKind,
    /// When.
    pub at: Timestamp,
}

impl QueueFact {
    /// A fact about the token of this payload.
    pub fn of(payload: &QueueTokenPayload, kind: QueueFactKind, at: Timestamp) -> Self {
        let QueueTokenPayload { performance, user, epoch, lane, index, .. } = *payload;
        Self { performance, epoch, lane, index, user: Some(user), kind, at }
    }
}

/// The facts that wait to be published. To note one takes no more than a lock that is held for moments.
#[derive(Debug)]
pub struct QueueFacts {
    /// How many are kept; 0 where facts are not published.
    kept_max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    facts: VecDeque<QueueFact>,
    dropped: u64,
}

impl QueueFacts {
    /// Keeps up to [`FACTS_KEPT_MAX`] facts.
    pub fn kept() -> Self {
        Self::keeping(FACTS_KEPT_MAX)
    }

    /// Keeps none: they are not published.
    pub fn off() -> Self {
        Self::keeping(0)
    }

    fn keeping(kept_max: usize) -> Self {
        Self { kept_max, waiting: Mutex::default() }
    }

    /// Notes facts. Those that do not fit are dropped.
    pub fn note(&self, facts: impl IntoIterator<Item = QueueFact>) {
        if self.kept_max == 0 {
            return;
        }
        let mut waiting = self.waiting();
        for fact in facts {
            if waiting.facts.len() < self.kept_max {
                waiting.facts.push_back(fact);
            } else {
                waiting.dropped += 1;
            }
        }
    }

    /// Takes the oldest facts, at most `limit`, and the number of those that were dropped since it was asked last.
    pub fn take(&self, limit: usize) -> (Vec<QueueFact>, u64) {
        let mut waiting = self.waiting();
        let count = waiting.facts.len().min(limit);
        let taken = waiting.facts.drain(..count).collect();
        (taken, std::mem::take(&mut waiting.dropped))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn fact(index: u64) -> QueueFact {
        let (performance, user) = (PerformanceId(Uuid::nil()), Some(UserId(Uuid::nil())));
        QueueFact {
            performance,
            epoch: 1,
            lane: 0,
            index,
            user,
            kind: QueueFactKind::Joined,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let facts = QueueFacts::keeping(3);
        facts.note((1..=5).map(fact));
        assert_eq!(facts.take(2), (vec![fact(1), fact(2)], 2));
        facts.note([fact(6)]);
        assert_eq!(facts.take(10), (vec![fact(3), fact(6)], 0));
        assert_eq!(facts.take(10), (vec![], 0));
    }

    #[test]
    fn where_facts_are_not_published_none_is_kept() {
        let facts = QueueFacts::off();
        facts.note([fact(1)]);
        assert_eq!(facts.take(10), (vec![], 0));
    }
}
