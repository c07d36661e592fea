//! The waiting line of a performance: its settings and lanes, its queue tokens, whom it admits when, the draw at its opening,
//! and what is kept of it so that it outlives the store that runs it.

mod admission;
mod bucket;
mod draw;
mod lane;
mod record;
mod settings;
mod ticket;
mod wait;

pub use admission::{AdmissionTerms, LaneTurns, STRIDE, room_by_stock};
pub use bucket::TokenBucket;
pub use draw::{DRAW_KEY_BYTES, Draw, DrawKey, Drawn};
pub use lane::{LANE_WEIGHT_MAX, LANES_MAX, Lane, LaneName, LanePass, Lanes, NotALane, NotLanes};
pub use record::{Inside, LaneRecord, LineRecord, RESTORE_QUIET, RestoredLane, RestoredLine, UsedPlace};
pub use settings::{
    CAP_MAX, DEADLINE_MAX, DEADLINE_MIN, HOLD_TRIES_MAX, Line, LineDraw, LineMessage, LinePatch, LineRate,
    LineSettings, MESSAGE_MAX_CHARS, NoLine, NotALineSetting, PatchRefusal, RATE_PERIOD_MAX, RATE_PERIOD_MIN,
    check_deadline, check_hold_tries, check_line_count, check_rate_period,
};
pub use ticket::{EndReason, LaneNumber, Place, QueueTicket, TokenState};
pub use wait::{AdmissionMeter, Wait};
