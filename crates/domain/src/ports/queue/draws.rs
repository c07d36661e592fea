use async_trait::async_trait;
use thiserror::Error;

use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, UserId};
use crate::page::{Page, PageRequest};
use crate::queue::{DrawEntries, DrawEntry, DrawEntryCursor, Drawn};

/// No fan can enter the draw any more: it is fixed how many fans of each lane take part.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the draw is closed")]
pub struct DrawClosed {
    /// How many entered, by the index of the lane.
    pub joined: Vec<u64>,
}

/// Stores who takes part in the draw of a queue, how many they are, and the digests of their numbers. The draw follows from the counts
/// and the queue's key.
///
/// An entry is the index of a fan in the draw of one lane. It never changes, whatever the fan does and whatever the store of the queue
/// loses. So the number that the draw gives to a fan was fixed before the key was known to anybody.
///
/// # Contract
/// - `enters_once`: each lane gives out the indexes 1, 2, 3 …; a fan who enters a lane again gets the same index
/// - `enters_under_contention`: a hundred concurrent calls of as many fans get a hundred indexes without a gap, twenty of one fan get one
/// - `an_entry_takes_back_an_end`: the token with the index of the entry is not noted as ended any more
/// - `closes_once`: from then on [`DrawClosed`] says how many entered, to every fan; closing again returns the same
/// - `closes_under_contention`: every fan who entered before is counted, and no other
/// - `counts_entries`: by lane, and whether the draw is closed; of a queue that nobody entered, too
/// - `lists_the_entries_of_a_fan`: of all queues, by performance and lane, in pages of any size; those of others are not among them
/// - `keeps_a_draw`: it is read back as it was stored, by lane
/// - `draws_once`: a later call returns the stored draw and changes nothing
/// - `draws_once_under_contention`: twenty concurrent calls return the same draw
/// - `finds_no_draw`: `None` for a queue whose numbers were not drawn
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Draws: Send + Sync {
    /// Enters a fan into the draw of a lane. Returns the fan's index. When it returns, the entry is durable.
    async fn enter(
        &self,
        performance: PerformanceId,
        epoch: i64,
        user: UserId,
        lane: u8,
    ) -> Result<u64, PortError<DrawClosed>>;

    /// Closes the draw of a queue. Returns how many entered, by the index of the lane.
    async fn close(&self, performance: PerformanceId) -> Result<Vec<u64>, Unavailable>;

    /// How many entered so far.
    async fn entries(&self, performance: PerformanceId) -> Result<DrawEntries, Unavailable>;

    /// The entries of a fan in all queues.
    async fn entries_of(
        &self,
        user: UserId,
        page: PageRequest<DrawEntryCursor>,
    ) -> Result<Page<DrawEntry, DrawEntryCursor>, Unavailable>;

    /// Stores a draw unless there is one. Returns the stored draw.
    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable>;

    /// The draw of a queue, by lane; none if nothing was drawn.
    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable>;
}
