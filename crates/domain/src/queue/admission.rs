//! The rules of admission: how many fans the stock allows, and which lane is next by the weights.

use std::time::Duration;

use crate::booking::seat_state::{SeatStock, StockByNeed};
use crate::queue::{QueueRate, QueueSettings};
use crate::time::Timestamp;

/// What decides an admission, besides the state of the queue and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionTerms {
    /// See [`QueueSettings::rate`].
    pub rate: QueueRate,
    /// See [`QueueSettings::batch`].
    pub batch: u32,
    /// See [`QueueSettings::max_active`].
    pub max_active: u32,
    /// See [`QueueSettings::accept_window`].
    pub accept_window: Duration,
    /// The weights of the lanes, by index; at least one.
    pub weights: Vec<u32>,
    /// The stock of seats, by who may buy them. If it is not known, it limits nothing.
    pub stock: Option<StockByNeed>,
    /// Whether fans are called: the sale has opened and the queue is not paused. Numbers whose deadline has passed end in any case.
    pub calling: bool,
}

impl QueueSettings {
    /// The terms of an admission. The queue must have opened at `opens_at`.
    pub fn terms(&self, stock: Option<StockByNeed>, opens_at: Timestamp, now: Timestamp) -> AdmissionTerms {
        AdmissionTerms {
            rate: self.rate,
            batch: self.batch,
            max_active: self.max_active,
            accept_window: self.accept_window,
            weights: self.lanes.weights(),
            stock,
            calling: !self.paused && opens_at <= now,
        }
    }
}

/// How many more fans may be called with this stock, where `inside` of those who may buy it are inside. A fan inside has seats or may want a free one. Each held seat counts for one
/// fan inside, each remaining fan inside needs a free seat, and only the free seats beyond that allow another call.
pub fn limit_by_stock(stock: Option<SeatStock>, inside: u64) -> u64 {
    let Some(SeatStock { free, held }) = stock else { return u64::MAX };
    let for_all = u64::from(free) + u64::from(held);
    for_all.saturating_sub(inside).min(free.into())
}

/// The cost of a turn for a lane of weight 1. A lane of weight w pays this divided by w, rounded down.
pub const STRIDE: u64 = 1_000_000;

/// The turns of the lanes, by stride scheduling (Waldspurger and Weihl, 1995). Each lane has a pass. The lane with the lowest pass is
/// next, and its turn adds the inverse of its weight to the pass, so that admissions follow the weights over any period. A lane in
/// which nobody waited gains nothing: its pass is at least that of the last turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneTurns {
    /// The pass of the last turn, before its cost was added.
    pub turn: u64,
    /// By the index of the lane.
    pub passes: Vec<u64>,
}

impl LaneTurns {
    /// The state before the first turn.
    pub fn new(lanes: usize) -> Self {
        Self { turn: 0, passes: vec![0; lanes] }
    }

    /// Gives the next turn to one of the lanes that want one, and returns that lane. Of equal passes the first lane is next.
    pub fn take(&mut self, weights: &[u32], wants: impl Fn(usize) -> bool) -> Option<usize> {
        let pass = |lane: usize| self.passes[lane].max(self.turn);
        let next = (0..self.passes.len()).filter(|lane| wants(*lane)).min_by_key(|lane| pass(*lane))?;
        self.turn = pass(next);
        let weight = weights.get(next).copied().unwrap_or(1).max(1);
        self.passes[next] = self.turn + STRIDE / u64::from(weight);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_holds_back() {
        let room = |free, held, inside| limit_by_stock(Some(SeatStock { free, held }), inside);
        assert_eq!(room(10, 0, 4), 6);
        assert_eq!(room(3, 0, 4), 0);
        assert_eq!(room(10, 2, 4), 8, "two of those inside have theirs");
        assert_eq!(room(10, 20, 4), 10);
        assert_eq!(room(0, 20, 4), 0, "what is held may come back, and is not there yet");
        assert_eq!(limit_by_stock(None, 4), u64::MAX);
    }

    fn turns(turns: &mut LaneTurns, weights: &[u32], times: usize, wants: &[bool]) -> Vec<usize> {
        let mut served = vec![0; weights.len()];
        for _ in 0..times {
            served[turns.take(weights, |lane| wants[lane]).expect("somebody waits")] += 1;
        }
        served
    }

    #[test]
    fn turns_follow_the_weights() {
        let mut queue = LaneTurns::new(3);
        assert_eq!(turns(&mut queue, &[1, 3, 6], 100, &[true; 3]), [10, 30, 60]);
    }

    #[test]
    fn an_empty_lane_leaves_its_share_and_saves_nothing_up() {
        let mut queue = LaneTurns::new(2);
        assert_eq!(turns(&mut queue, &[1, 4], 400, &[true, false]), [400, 0]);
        assert_eq!(turns(&mut queue, &[1, 4], 10, &[true, true]), [2, 8]);
        assert_eq!(LaneTurns::new(2).take(&[1, 1], |_| false), None);
    }
}
