//! Queue tokens: what a fan holds in a queue.

use crate::ids::{PerformanceId, UserId};
use crate::queue::Draw;
use crate::time::Timestamp;

/// What a queue token says: who stands where in which queue, and, once they were admitted, until when they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueTokenPayload {
    /// Which queue.
    pub performance: PerformanceId,
    /// Who stands there.
    pub user: UserId,
    /// Which run of the queue: indexes start again at 1 when a queue is made anew, and a queue token of an earlier run has ended.
    pub epoch: i64,
    /// The index of the lane.
    pub lane: u8,
    /// How many had joined the lane, this fan included. Where nothing is drawn, this is the fan's number.
    pub index: u64,
    /// Until when the fan was admitted, on the queue token that is handed out with the admission; none on that of the join.
    pub admitted_until: Option<Timestamp>,
}

impl QueueTokenPayload {
    /// The token of this queue token, where this many of its lane were drawn.
    pub fn token(self, draw: Option<&Draw>) -> QueueToken {
        let draw = draw.filter(|draw| self.index <= draw.count());
        let number = draw.map_or(self.index, |draw| draw.number(self.index));
        QueueToken { payload: self, number, drawn: draw.map_or(0, Draw::count) }
    }
}

/// A queue token with its number: numbers are called in order. It is the queue token's index, or what was drawn for it; see
/// [`QueueTokenPayload::token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueToken {
    /// Whose token.
    pub payload: QueueTokenPayload,
    /// 1 for the first to be called.
    pub number: u64,
    /// Of how many drawn the number is; 0 if it was not drawn.
    pub drawn: u64,
}

/// A number of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneNumber {
    /// The index of the lane.
    pub lane: u8,
    /// See [`QueueToken::number`].
    pub number: u64,
}

impl QueueToken {
    /// The number and its lane.
    pub fn lane_number(&self) -> LaneNumber {
        LaneNumber { lane: self.payload.lane, number: self.number }
    }
}

/// Why a queue token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The fan paid.
    Used,
    /// The fan left.
    Left,
    /// The token was active until its deadline.
    Expired,
    /// The fan was away for longer than the grace period, or did not come when called.
    Abandoned,
    /// The fan took a token in another lane instead.
    Replaced,
    /// The queue was made anew and this token belonged to the run before.
    Reset,
}

/// Where a queue token is in its life: waiting → called → active → ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// In the queue.
    Waiting,
    /// Called, and not yet come.
    Called {
        /// Until when the fan may come.
        accept_by: Timestamp,
    },
    /// May use guarded RPCs.
    Active {
        /// Until when.
        until: Timestamp,
    },
    /// Of no use any more.
    Ended(EndReason),
}
