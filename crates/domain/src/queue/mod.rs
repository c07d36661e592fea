//! The queue of a performance: settings and lanes, queue tokens, the rules of admission, the draw at its opening, and the durable
//! record from which it is restored.

mod admission;
mod bucket;
pub mod ceilings;
mod draw;
pub mod fact;
mod lane;
mod number_map;
mod record;
mod settings;
pub mod snapshot;
mod token;
mod wait;

pub use admission::{AdmissionTerms, LaneTurns, STRIDE, limit_by_stock};
pub use bucket::{BUCKET_SLACK, TokenBucket, burst};
pub use draw::{DRAW_KEY_BYTES, Draw, DrawEntries, DrawEntry, DrawEntryCursor, DrawKey, Drawn};
pub use lane::{LANE_WEIGHT_MAX, LANES_MAX, Lane, LaneName, LanePass, Lanes, NotALane, NotLanes};
pub use number_map::NumberMap;
pub use record::{EndedToken, Inside, LaneRecord, QueueRecord, RESTORE_QUIET, RestoredLane, RestoredQueue};
pub use settings::{
    DEADLINE_MAX, DEADLINE_MIN, HOLD_TRIES_MAX, MAX_ACTIVE_LIMIT, MESSAGE_MAX_CHARS, NoQueue, NotAQueueSetting,
    PatchRefusal, Queue, QueueDraw, QueueMessage, QueuePatch, QueueRate, QueueSettings, RATE_PERIOD_MAX,
    RATE_PERIOD_MIN, check_deadline, check_hold_tries, check_queue_count, check_rate_period, default_max_active,
};
pub use token::{EndReason, LaneNumber, QueueToken, QueueTokenPayload, TokenState};
pub use wait::{CallRate, Pace, PaceSample, SAMPLE_EVERY, SAMPLES_MAX, Wait};
