use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::booking::seat_block::{BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal};
use crate::catalog::seat_chart::Slot;
use crate::error::{RequestError, Unavailable};
use crate::ids::PerformanceId;
use crate::page::{Page, PageRequest};
use crate::request::Applied;

/// Blocks seats for operators. A block claims its seats in the same way as [`Reservations`](super::Reservations) does, so neither
/// port takes a seat that the other has claimed.
///
/// # Contract
/// - `blocks_seats`: the block claims them; they cannot be held, and count against no fan's limit
/// - `refuses_to_block_taken_seats`: [`BlockRefusal::SeatsTaken`] names those that are held or sold, and nothing changes
/// - `blocks_again`: a blocked seat stays blocked and gets the new reason
/// - `repeats_a_block`: the same request returns [`Applied::Before`] with the block as it was made, and blocks nothing. A refused
///   request is not remembered, and the same id with another fingerprint is [`RequestError::Reused`]
/// - `gives_blocked_seats_back`: they can be held immediately; the others stay blocked
/// - `gives_back_only_what_is_blocked`: [`UnblockRefusal::NotBlocked`] names the seats that are free, held or sold, and nothing changes
/// - `repeats_an_unblock`: the same request returns [`Applied::Before`] and unblocks nothing
/// - `claims_a_seat_once_whoever_asks`: after concurrent holds and blocks of the same seats, each seat has one owner, whose call
///   succeeded
/// - `lists_blocked_seats`: those of one performance, in the order of their slots, each with its latest block, in pages of any size
/// - `starts_a_page_of_blocked_seats_anywhere`: after any slot, also those that no chart has
/// - `writes_events_of_blocks`: blocked and unblocked, each once, in the transaction of the change; the audit finds nothing wrong
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatBlocks: Send + Sync {
    /// Blocks seats, all or none.
    async fn block(
        &self,
        block: SeatBlock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatBlock>, RequestError<BlockRefusal>>;

    /// Unblocks seats, all or none.
    async fn unblock(
        &self,
        unblock: SeatUnblock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatUnblock>, RequestError<UnblockRefusal>>;

    /// The blocked seats of a performance.
    async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<BlockedSeat, Slot>, Unavailable>;
}
