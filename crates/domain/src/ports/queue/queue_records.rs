use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::PerformanceId;
use crate::queue::QueueRecord;

/// Keeps what a queue is put in place from when the store that runs it has lost it.
///
/// # Contract
/// - `keeps_a_record`: read back equal to what was begun and then kept, whoever is inside
/// - `begins_once`: whoever comes later is answered the record that is there, and changes nothing
/// - `finds_no_record`: of a performance whose queue was never begun
/// - `keeps_only_what_is_newer`: a record of an earlier moment changes nothing, and heads and tails never fall
/// - `keeps_no_other_run`: a record of another epoch changes nothing
/// - `raises_limits`: of one lane; a limit never falls, and the higher one is answered
/// - `raises_limits_under_contention`: twenty at once leave the highest
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QueueRecords: Send + Sync {
    /// Begins the record of a queue, and answers the one that is there afterwards.
    async fn begin(&self, performance: PerformanceId, record: QueueRecord) -> Result<QueueRecord, Unavailable>;

    /// The record of a queue.
    async fn find(&self, performance: PerformanceId) -> Result<Option<QueueRecord>, Unavailable>;

    /// Keeps what a queue has come to. Its limits are left as they are.
    async fn keep(&self, performance: PerformanceId, record: &QueueRecord) -> Result<(), Unavailable>;

    /// Raises the limit of a lane of a queue that was begun, and answers what it is afterwards; 0 if there is no such lane.
    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> Result<u64, Unavailable>;
}
