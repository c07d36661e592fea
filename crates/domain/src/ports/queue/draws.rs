use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::PerformanceId;
use crate::queue::Drawn;

/// Keeps how many joined each lane before its numbers were drawn: with the queue's key, that is the whole draw.
///
/// # Contract
/// - `keeps_a_draw`: read back equal to what was kept, by lane
/// - `draws_once`: whoever comes later is answered the draw that is there, and changes nothing
/// - `draws_once_under_contention`: of twenty at once, all are answered the same
/// - `finds_no_draw`: of a queue whose numbers were not drawn
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Draws: Send + Sync {
    /// Keeps a draw for good, and answers the one that is there afterwards.
    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable>;

    /// The draw of a queue, by lane; none if nothing was drawn.
    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable>;
}
