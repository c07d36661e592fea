use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::PerformanceId;
use crate::queue::Drawn;

/// Stores how many fans had joined each lane when its numbers were drawn. The draw follows from that and the queue's key.
///
/// # Contract
/// - `keeps_a_draw`: it is read back as it was stored, by lane
/// - `draws_once`: a later call returns the stored draw and changes nothing
/// - `draws_once_under_contention`: twenty concurrent calls return the same draw
/// - `finds_no_draw`: `None` for a queue whose numbers were not drawn
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Draws: Send + Sync {
    /// Stores a draw unless there is one. Returns the stored draw.
    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable>;

    /// The draw of a queue, by lane; none if nothing was drawn.
    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable>;
}
