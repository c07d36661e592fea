//! The calls that wait for a batch.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::Batched;

/// The most calls that wait for a batch. Further calls fail as unavailable. This many calls are answered within the
/// time that a call may wait for a connection.
pub const WAITING_MAX: usize = 16_384;
/// The most batches that run at once: while one waits for the disk, another is executed.
pub const RUNNING_MAX: usize = 2;

/// A call that waits, and its caller.
pub struct Waiting<Q, A> {
    pub call: Q,
    pub caller: oneshot::Sender<A>,
    /// Whether the call gets a batch of its own: the batch that it was in has failed.
    pub alone: bool,
}

/// The calls that wait, in the order of arrival.
///
/// An owner has calls in one running batch at most. Otherwise the calls of one owner, who has one row to lock, would be batches
/// that wait for each other, and each would take a connection. The other calls of the owner are parked until that batch ends.
pub struct Backlog<Q, A> {
    waiting: VecDeque<Waiting<Q, A>>,
    /// The calls of owners who are busy.
    parked: HashMap<Uuid, VecDeque<Waiting<Q, A>>>,
    /// The owners who have a call in a running batch.
    busy: HashSet<Uuid>,
    /// How many calls wait or are parked.
    queued: usize,
    /// The batches that run, but for those that are late.
    running: usize,
}

impl<Q, A> Default for Backlog<Q, A> {
    fn default() -> Self {
        let (waiting, parked, busy) = (VecDeque::new(), HashMap::new(), HashSet::new());
        Self { waiting, parked, busy, queued: 0, running: 0 }
    }
}

impl<Q: Batched, A> Backlog<Q, A> {
    /// Adds a call. Returns whether a batch must be started, or `None` if too many calls wait.
    pub fn join(&mut self, waiting: Waiting<Q, A>) -> Option<bool> {
        if self.queued >= WAITING_MAX {
            return None;
        }
        self.queued += 1;
        self.waiting.push_back(waiting);
        Some(self.may_start())
    }

    /// Whether a batch may start for calls that wait. If so, it counts as running.
    fn may_start(&mut self) -> bool {
        let starts = self.running < RUNNING_MAX && !self.waiting.is_empty();
        self.running += usize::from(starts);
        starts
    }

    /// The calls of the next batch. A call with the key of another in the batch waits for the batch after it, where it finds the
    /// result. If no call can be taken, a batch runs no longer.
    pub fn next_batch(&mut self, batch_max: usize) -> Option<Vec<Waiting<Q, A>>> {
        let (mut batch, mut repeats, mut keys) = (Vec::new(), Vec::new(), HashSet::new());
        while batch.len() + repeats.len() < batch_max
            && let Some(next) = self.waiting.pop_front()
        {
            let is_repeat = next.call.key().is_some_and(|key| !keys.insert(key));
            match next.call.owner() {
                Some(owner) if self.busy.contains(&owner) => self.parked.entry(owner).or_default().push_back(next),
                _ if next.alone && batch.is_empty() && repeats.is_empty() => {
                    batch.push(next);
                    break;
                }
                _ if next.alone => {
                    self.waiting.push_front(next);
                    break;
                }
                _ if is_repeat => repeats.push(next),
                _ => batch.push(next),
            }
        }
        for repeat in repeats.into_iter().rev() {
            self.waiting.push_front(repeat);
        }
        if batch.is_empty() {
            self.running -= 1;
            return None;
        }
        self.queued -= batch.len();
        self.busy.extend(batch.iter().filter_map(|waiting| waiting.call.owner()));
        Some(batch)
    }

    /// Ends a batch of these calls. Those that are to be tried again come first, each alone. Returns whether the task that ran the
    /// batch goes on with the next; if the batch was late, another task does so already.
    pub fn end_batch(&mut self, calls: &[Q], again: Vec<Waiting<Q, A>>, late: bool) -> bool {
        for owner in calls.iter().filter_map(Batched::owner) {
            self.busy.remove(&owner);
            self.waiting.extend(self.parked.remove(&owner).into_iter().flatten());
        }
        self.queued += again.len();
        for call in again.into_iter().rev() {
            self.waiting.push_front(call);
        }
        !late || self.may_start()
    }
}
