//! Keeping seats from sale.

use std::sync::Arc;

use encore_domain::booking::seat_block::{
    BlockReason, BlockRefusal, BlockedSeat, SeatBlock, SeatList, SeatUnblock, UnblockRefusal,
};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{BlockId, PerformanceId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Ids, SeatBlocks};
use encore_domain::request::RequestKey;
use tracing::warn;

use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::seat_map::{SeatMap, seat_ids};

/// What an operator did, with the venue that names its seats.
#[derive(Clone, Debug)]
pub struct InContext<T> {
    /// What was done.
    pub done: T,
    /// The performance with its concert and venue.
    pub context: PerformanceContext,
}

/// The use cases of operators who keep seats from sale.
#[derive(Clone)]
pub struct SeatBlockUseCases {
    seat_blocks: Arc<dyn SeatBlocks>,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl SeatBlockUseCases {
    /// Puts the use cases on their ports.
    pub fn new(
        seat_blocks: Arc<dyn SeatBlocks>,
        contexts: PerformanceContexts,
        seat_map: SeatMap,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { seat_blocks, contexts, seat_map, clock, ids }
    }

    /// Blocks seats, all or none, whether the sale is open or not. The claims decide; the locks follow.
    pub async fn block(
        &self,
        caller: Caller,
        performance: PerformanceId,
        seats: &SeatList,
        reason: BlockReason,
        request: Option<RequestKey>,
    ) -> Result<InContext<SeatBlock>, AppError> {
        let context = self.contexts.context(performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let (id, operator, at) = (BlockId(self.ids.next()), caller.user, self.clock.now());
        let block = SeatBlock { id, performance, operator, reason, slots, at };
        let blocked = self.seat_blocks.block(block, request).await.map_err(|error| match error {
            RequestError::Refused(BlockRefusal::SeatsTaken { slots }) => {
                AppError::SeatsNotFree { seat_ids: seat_ids(&context, &slots) }
            }
            RequestError::Reused => AppError::RequestReused,
            RequestError::Unavailable(unavailable) => unavailable.into(),
        });
        let done = blocked?.into_inner();
        self.settle(performance, &done.slots).await;
        Ok(InContext { done, context })
    }

    /// Gives blocked seats back, all or none.
    pub async fn unblock(
        &self,
        caller: Caller,
        performance: PerformanceId,
        seats: &SeatList,
        request: Option<RequestKey>,
    ) -> Result<InContext<SeatUnblock>, AppError> {
        let context = self.contexts.context(performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let (id, operator, at) = (BlockId(self.ids.next()), caller.user, self.clock.now());
        let unblock = SeatUnblock { id, performance, operator, slots, at };
        let unblocked = self.seat_blocks.unblock(unblock, request).await.map_err(|error| match error {
            RequestError::Refused(UnblockRefusal::NotBlocked { slots }) => {
                AppError::SeatsNotBlocked { seat_ids: seat_ids(&context, &slots) }
            }
            RequestError::Reused => AppError::RequestReused,
            RequestError::Unavailable(unavailable) => unavailable.into(),
        });
        let done = unblocked?.into_inner();
        self.settle(performance, &done.slots).await;
        Ok(InContext { done, context })
    }

    /// The blocked seats of a performance, in the order of the venue.
    pub async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<InContext<Page<BlockedSeat, Slot>>, AppError> {
        let context = self.contexts.context(performance).await?;
        let done = self.seat_blocks.blocked(performance, page).await?;
        Ok(InContext { done, context })
    }

    /// What is done is done: if the locks are away, or this instance dies here, they are repaired later. A repeat hurries that.
    async fn settle(&self, performance: PerformanceId, slots: &[Slot]) {
        if let Err(unavailable) = self.seat_map.settle_blocks(performance, slots).await {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "blocked seats are shown later");
        }
    }
}
