use encore_domain::ports::{CutLane, FrozenLane, Presence};

use super::Queue;
use super::lane::Lane;

impl Queue {
    /// Whether the queue draws and its numbers are not drawn yet.
    pub(super) fn has_pre_queue(&self) -> bool {
        self.draws && self.lanes.iter().any(|lane| lane.drawn().is_none())
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.lanes.iter().any(Lane::is_frozen)
    }

    /// Whether the queue collects fans for its draw.
    pub(super) fn collects(&self) -> bool {
        self.has_pre_queue() && !self.is_frozen()
    }

    pub fn freeze(&mut self, joined: &[u64]) -> Option<Vec<FrozenLane>> {
        let joined = joined.iter().copied().chain(std::iter::repeat(0));
        if !self.has_pre_queue() {
            return None;
        }
        let tails = |queue: &Self| queue.lanes.iter().map(Lane::tail).sum::<u64>();
        let before = tails(self);
        let frozen = self.lanes.iter_mut().zip(joined).map(|(lane, joined)| lane.freeze(joined)).collect();
        self.flow.joined += tails(self) - before;
        Some(frozen)
    }

    pub fn cut(&mut self, lanes: &[CutLane], presence: Presence) -> bool {
        if !self.has_pre_queue() {
            return false;
        }
        let empty = CutLane::default();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            lane.cut(lanes.get(at).unwrap_or(&empty), presence.now);
        }
        true
    }
}
