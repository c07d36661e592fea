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

    pub fn freeze(&mut self) -> Option<Vec<FrozenLane>> {
        self.has_pre_queue().then(|| self.lanes.iter_mut().map(Lane::freeze).collect())
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
