//! Queue tokens: what a fan holds in a queue.

use crate::ids::{PerformanceId, UserId};
use crate::queue::Draw;
use crate::time::Timestamp;

/// The payload of a queue token: the queue, the fan, the index in the lane, and the deadline once the fan is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueTokenPayload {
    /// The performance of the queue.
    pub performance: PerformanceId,
    /// The fan.
    pub user: UserId,
    /// The run of the queue. When a queue is begun again, indexes start again at 1 and the tokens of earlier runs have ended.
    pub epoch: i64,
    /// The index of the lane.
    pub lane: u8,
    /// How many had joined the lane, this fan included. In a queue without a draw this is the fan's number.
    pub index: u64,
    /// When the fan joined.
    pub issued_at: Timestamp,
    /// Whether the fan needs an accessible seat, and is called only while one is left.
    pub needs_accessible: bool,
    /// The deadline of the admission, on a token that was given out with it; none on the token of the join.
    pub admitted_until: Option<Timestamp>,
}

impl QueueTokenPayload {
    /// The same token with nothing but what says which token it is. It is enough to end the token.
    pub fn bare(self) -> Self {
        Self { issued_at: Timestamp::UNIX_EPOCH, needs_accessible: false, admitted_until: None, ..self }
    }

    /// The token with its number, given the draw of the lane.
    pub fn token(self, draw: Option<&Draw>) -> QueueToken {
        let draw = draw.filter(|draw| self.index <= draw.count());
        let number = draw.map_or(self.index, |draw| draw.number(self.index));
        QueueToken { payload: self, number, drawn: draw.map_or(0, Draw::count) }
    }
}

/// A queue token with its number. Numbers are called in order. The number is the index, or the one that was drawn for it; see
/// [`QueueTokenPayload::token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueToken {
    /// The payload of the token.
    pub payload: QueueTokenPayload,
    /// The first number is 1.
    pub number: u64,
    /// How many numbers were drawn with this one; 0 if it was not drawn.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// The fan paid.
    Used,
    /// The fan left.
    Left,
    /// The token was active until its deadline.
    Expired,
    /// The fan was absent for longer than the grace, or did not accept the call in time.
    Abandoned,
    /// The fan took a token in another lane, or showed another token.
    Replaced,
    /// The fan was called, and has bought as many seats of the performance as one fan may.
    LimitReached,
    /// The token belongs to an earlier run of the queue.
    Reset,
}

/// The state of a queue token: waiting → called → active → ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It waits.
    Waiting,
    /// It was called and has not accepted.
    Called {
        /// The end of the accept window.
        accept_by: Timestamp,
    },
    /// It may use guarded RPCs.
    Active {
        /// Until when.
        until: Timestamp,
    },
    /// It has ended.
    Ended(EndReason),
}
