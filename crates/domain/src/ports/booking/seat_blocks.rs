use async_trait::async_trait;

use crate::booking::seat_block::{BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal};
use crate::catalog::seat_chart::Slot;
use crate::error::{RequestError, Unavailable};
use crate::ids::PerformanceId;
use crate::page::{Page, PageRequest};
use crate::request::{Applied, RequestKey};

/// Keeps seats from sale for operators, by claims beside those of [`Reservations`](super::Reservations): so each of them sees what
/// the other has claimed.
///
/// # Contract
/// - `blocks_seats`: they are claimed by the block; nobody can hold them, and they count against no fan's limit
/// - `refuses_to_block_taken_seats`: [`BlockRefusal::SeatsTaken`] names those that are held or sold, and nothing changes
/// - `blocks_again`: what is blocked stays so, and has the new reason
/// - `repeats_a_block`: the same request answers [`Applied::Before`] with the block, whatever became of it, and blocks nothing; a
///   refusal left no trace of its request, and the same id with another fingerprint is [`RequestError::Reused`]
/// - `gives_blocked_seats_back`: they can be held at once; the others stay blocked
/// - `gives_back_only_what_is_blocked`: [`UnblockRefusal::NotBlocked`] names the seats that are free, held or sold, and nothing changes
/// - `repeats_an_unblock`: the same request answers [`Applied::Before`], and gives nothing back
/// - `claims_a_seat_once_whoever_asks`: of holds and blocks of the same seats at once, each seat has one owner, who was told so
/// - `lists_blocked_seats`: of one performance, in the order of their slots, each with its latest block, over pages of any size
/// - `writes_events_of_blocks`: blocked and unblocked, each once, in the transaction of the change; the records find nothing amiss
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatBlocks: Send + Sync {
    /// Blocks seats, all or none.
    async fn block(
        &self,
        block: SeatBlock,
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatBlock>, RequestError<BlockRefusal>>;

    /// Gives blocked seats back, all or none.
    async fn unblock(
        &self,
        unblock: SeatUnblock,
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatUnblock>, RequestError<UnblockRefusal>>;

    /// The blocked seats of a performance.
    async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<BlockedSeat, Slot>, Unavailable>;
}
