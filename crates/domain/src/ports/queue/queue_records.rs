use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::PerformanceId;
use crate::queue::{EndReason, EndedToken, QueueRecord, QueueTokenPayload};
use crate::time::Timestamp;

/// Stores the checkpoints of queues, from which a queue is restored when its store has lost it.
///
/// # Contract
/// - `keeps_a_record`: it is read back as it was begun and as it was stored, with any fans inside
/// - `begins_once`: a later call returns the stored record and changes nothing
/// - `finds_no_record`: `None` for a performance whose queue was never begun
/// - `keeps_only_what_is_newer`: an older record changes nothing, and heads and tails never fall
/// - `keeps_no_other_run`: a record of another epoch changes nothing
/// - `raises_limits`: that of one lane; a limit never falls, and the higher one is returned
/// - `raises_limits_under_contention`: after twenty concurrent calls the limit is the highest of them
/// - `notes_ended_tokens`: they are listed and found, for their queue and run only; noting one again keeps the first reason
/// - `notes_ended_tokens_in_bulk`: ten thousand in one call
/// - `forgets_queues_of_the_past`: the ended tokens and the entries of performances whose sale closed at or before the given time, at
///   most `limit` at once, until there are none; what other performances have, and the record and the draw of each, stay
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QueueRecords: Send + Sync {
    /// Stores the first record of a queue unless there is one. Returns the stored record.
    async fn begin(&self, performance: PerformanceId, record: QueueRecord) -> Result<QueueRecord, Unavailable>;

    /// The record of a queue.
    async fn find(&self, performance: PerformanceId) -> Result<Option<QueueRecord>, Unavailable>;

    /// Stores a newer record of a queue. The limits do not change.
    async fn keep(&self, performance: PerformanceId, record: &QueueRecord) -> Result<(), Unavailable>;

    /// Raises the limit of a lane of a queue that was begun. Returns the limit afterwards; 0 if there is no such lane.
    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> Result<u64, Unavailable>;

    /// Notes tokens that ended because their fans took another token or were absent. Payments and
    /// [`Reservations::leave`](crate::ports::Reservations::leave) note those that they end. When it returns, the notes are durable.
    async fn note_ended(&self, performance: PerformanceId, epoch: i64, ended: &[EndedToken])
    -> Result<(), Unavailable>;

    /// The tokens of a queue that have ended, whoever noted it, in any order.
    async fn ended(&self, performance: PerformanceId, epoch: i64) -> Result<Vec<EndedToken>, Unavailable>;

    /// Deletes up to `limit` notes of ended tokens, or entries of a draw, of performances whose sale closed at or before `closed_by`.
    /// Nobody can use their tokens any more. Returns how many were deleted; 0 if none is left.
    async fn forget_past(&self, closed_by: Timestamp, limit: u32) -> Result<u64, Unavailable>;

    /// Why this token has ended; none if it has not.
    async fn find_ended(&self, payload: &QueueTokenPayload) -> Result<Option<EndReason>, Unavailable>;
}
