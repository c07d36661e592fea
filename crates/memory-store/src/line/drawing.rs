use encore_domain::ports::{CutLane, FrozenLane, Presence};

use super::Line;
use super::lane::Lane;

impl Line {
    /// Whether the numbers are still to be drawn.
    pub(super) fn collects(&self) -> bool {
        self.draws && self.lanes.iter().any(|lane| lane.drawn().is_none())
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.lanes.iter().any(Lane::is_frozen)
    }

    pub fn freeze(&mut self) -> Option<Vec<FrozenLane>> {
        self.collects().then(|| self.lanes.iter_mut().map(Lane::freeze).collect())
    }

    pub fn cut(&mut self, lanes: &[CutLane], presence: Presence) -> bool {
        if !self.collects() {
            return false;
        }
        let empty = CutLane::default();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            lane.cut(lanes.get(at).unwrap_or(&empty), presence.now);
        }
        true
    }
}
