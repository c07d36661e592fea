//! The ports of the queue.

mod draws;
mod lane_grants;
mod queue_records;
mod queue_store;
mod queue_tokens;

pub use draws::{DrawClosed, Draws};
pub use lane_grants::LaneGrants;
pub use queue_records::QueueRecords;
pub use queue_store::{
    Absent, CutLane, FrozenLane, JoinRefusal, Joined, Joining, Presence, QueueLost, QueueStore, REQUESTS_KEPT,
    RequestReused, SHOWN_MAX, TokenRefusal,
};
pub use queue_tokens::QueueTokens;

#[cfg(feature = "mock")]
pub use self::{
    draws::MockDraws, lane_grants::MockLaneGrants, queue_records::MockQueueRecords, queue_store::MockQueueStore,
    queue_tokens::MockQueueTokens,
};
