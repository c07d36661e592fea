//! Blocking seats and unblocking them.

use std::sync::Arc;

use encore_domain::audit_log::StaffCall;
use encore_domain::booking::seat_block::{
    BlockReason, BlockRefusal, BlockedSeat, SeatBlock, SeatList, SeatUnblock, UnblockRefusal,
};
use encore_domain::booking::seat_state::Locker;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::ids::{AuditEntryId, BlockId, PerformanceId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Ids, SeatBlocks};
use encore_seat_map::SeatMap;
use tracing::warn;

use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;

/// The result of an operation, with the venue that its seats belong to.
#[derive(Clone, Debug)]
pub struct InContext<T> {
    /// The result.
    pub done: T,
    /// The performance with its concert and venue.
    pub context: PerformanceContext,
}

/// What [`SeatBlockUseCases`] is made of.
pub struct SeatBlockParts {
    /// The blocks.
    pub seat_blocks: Arc<dyn SeatBlocks>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of operators who block seats from sale.
#[derive(Clone)]
pub struct SeatBlockUseCases {
    parts: Arc<SeatBlockParts>,
}

impl SeatBlockUseCases {
    /// The use cases over their ports.
    pub fn new(parts: SeatBlockParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Blocks seats, all or none, whether the sale is open or not. The claims decide, and the locks are then set to match.
    pub async fn block(
        &self,
        call: StaffCall,
        performance: PerformanceId,
        seats: &SeatList,
        reason: BlockReason,
    ) -> Result<InContext<SeatBlock>, AppError> {
        let context = self.parts.contexts.context(performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let (id, operator, at) = (BlockId(self.parts.ids.next()), call.caller.user, self.parts.clock.now());
        let act = call.act(AuditEntryId(self.parts.ids.next()), at, Some(reason.as_str()));
        let block = SeatBlock { id, performance, operator, reason, slots, at };
        let blocked = self.parts.seat_blocks.block(block, Some(act)).await.map_err(|error| match error {
            RequestError::Refused(BlockRefusal::SeatsTaken { slots }) => {
                AppError::SeatsNotFree { seat_ids: context.seat_ids(&slots) }
            }
            RequestError::Reused => AppError::RequestReused,
            RequestError::Unavailable(unavailable) => unavailable.into(),
        });
        let done = blocked?.into_inner();
        self.settle(performance, &done.slots).await;
        Ok(InContext { done, context })
    }

    /// Unblocks seats, all or none.
    pub async fn unblock(
        &self,
        call: StaffCall,
        performance: PerformanceId,
        seats: &SeatList,
    ) -> Result<InContext<SeatUnblock>, AppError> {
        let context = self.parts.contexts.context(performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let (id, operator, at) = (BlockId(self.parts.ids.next()), call.caller.user, self.parts.clock.now());
        let act = call.act(AuditEntryId(self.parts.ids.next()), at, None);
        let unblock = SeatUnblock { id, performance, operator, slots, at };
        let unblocked = self.parts.seat_blocks.unblock(unblock, Some(act)).await.map_err(|error| match error {
            RequestError::Refused(UnblockRefusal::NotBlocked { slots }) => {
                AppError::SeatsNotBlocked { seat_ids: context.seat_ids(&slots) }
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
        let context = self.parts.contexts.context(performance).await?;
        let done = self.parts.seat_blocks.blocked(performance, page).await?;
        Ok(InContext { done, context })
    }

    /// Sets the locks to match the claims. If the locks are unavailable, or this instance stops here, a worker repairs
    /// them later. A repeated request repairs them at once.
    async fn settle(&self, performance: PerformanceId, slots: &[Slot]) {
        if let Err(unavailable) = self.parts.seat_map.settle(performance, slots, Locker::Operators).await {
            warn!(%performance, error = &unavailable as &dyn std::error::Error, "seat locks could not be settled; seats are shown with their old status until the locks are repaired");
        }
    }
}
