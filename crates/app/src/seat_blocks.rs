//! Keeping seats from sale.

use std::sync::Arc;

use encore_domain::error::PortError;
use encore_domain::identity::Caller;
use encore_domain::ids::{BlockId, PerformanceId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Ids, SeatBlocks};
use encore_domain::request::RequestKey;
use encore_domain::seat_block::{
    BlockReason, BlockRefusal, BlockedSeat, SeatBlock, SeatList, SeatUnblock, UnblockRefusal,
};
use encore_domain::seat_chart::Slot;
use tracing::warn;

use crate::error::AppError;
use crate::halls::{Hall, Halls};
use crate::seat_map::{SeatMap, seat_ids};

/// What an operator did, with the hall that names its seats.
#[derive(Clone, Debug)]
pub struct InHall<T> {
    /// What was done.
    pub done: T,
    /// The performance with its concert and venue.
    pub hall: Hall,
}

/// The use cases of operators who keep seats from sale.
#[derive(Clone)]
pub struct SeatBlockUseCases {
    seat_blocks: Arc<dyn SeatBlocks>,
    halls: Halls,
    seat_map: SeatMap,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl SeatBlockUseCases {
    /// Puts the use cases on their ports.
    pub fn new(
        seat_blocks: Arc<dyn SeatBlocks>,
        halls: Halls,
        seat_map: SeatMap,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { seat_blocks, halls, seat_map, clock, ids }
    }

    /// Blocks seats, all or none, whether the sale is open or not. The claims decide; the locks follow.
    pub async fn block(
        &self,
        caller: Caller,
        performance: PerformanceId,
        seats: &SeatList,
        reason: BlockReason,
        request: Option<RequestKey>,
    ) -> Result<InHall<SeatBlock>, AppError> {
        let hall = self.halls.hall(performance).await?;
        let slots = seats.slots(&hall.venue.chart)?;
        let (id, operator, at) = (BlockId(self.ids.next()), caller.user, self.clock.now());
        let block = SeatBlock { id, performance, operator, reason, slots, at };
        let blocked = self.seat_blocks.block(block, request).await.map_err(|error| match error {
            PortError::Refused(BlockRefusal::SeatsTaken { slots }) => {
                AppError::SeatsNotFree { seat_ids: seat_ids(&hall, &slots) }
            }
            PortError::RequestReused => AppError::RequestReused,
            PortError::Unavailable(weather) => weather.into(),
        });
        let done = blocked?.into_inner();
        self.settle(performance, &done.slots).await;
        Ok(InHall { done, hall })
    }

    /// Gives blocked seats back, all or none.
    pub async fn unblock(
        &self,
        caller: Caller,
        performance: PerformanceId,
        seats: &SeatList,
        request: Option<RequestKey>,
    ) -> Result<InHall<SeatUnblock>, AppError> {
        let hall = self.halls.hall(performance).await?;
        let slots = seats.slots(&hall.venue.chart)?;
        let (id, operator, at) = (BlockId(self.ids.next()), caller.user, self.clock.now());
        let unblock = SeatUnblock { id, performance, operator, slots, at };
        let unblocked = self.seat_blocks.unblock(unblock, request).await.map_err(|error| match error {
            PortError::Refused(UnblockRefusal::NotBlocked { slots }) => {
                AppError::SeatsNotBlocked { seat_ids: seat_ids(&hall, &slots) }
            }
            PortError::RequestReused => AppError::RequestReused,
            PortError::Unavailable(weather) => weather.into(),
        });
        let done = unblocked?.into_inner();
        self.settle(performance, &done.slots).await;
        Ok(InHall { done, hall })
    }

    /// The blocked seats of a performance, in the order of the hall.
    pub async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<InHall<Page<BlockedSeat, Slot>>, AppError> {
        let hall = self.halls.hall(performance).await?;
        let done = self.seat_blocks.blocked(performance, page).await?;
        Ok(InHall { done, hall })
    }

    /// What is done is done: if the locks are away, or this instance dies here, they are mended later. A repeat hurries that.
    async fn settle(&self, performance: PerformanceId, slots: &[Slot]) {
        if let Err(weather) = self.seat_map.settle_blocks(performance, slots).await {
            warn!(%performance, error = &weather as &dyn std::error::Error, "blocked seats are shown later");
        }
    }
}
