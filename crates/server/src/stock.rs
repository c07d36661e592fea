//! The seat map as the waiting room's source of what is left to buy.

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_seat_map::contexts::PerformanceContexts;
use encore_seat_map::{SeatMap, SeatMapError};
use encore_waiting_room::Stock;

/// Reads the counts off the seat map's replicas, and what fans have bought off its locks.
pub(crate) struct SeatMapStock {
    pub(crate) seat_map: SeatMap,
    pub(crate) contexts: PerformanceContexts,
}

#[async_trait]
impl Stock for SeatMapStock {
    async fn stock(&self, performance: PerformanceId) -> Result<StockByNeed, Unavailable> {
        match self.seat_map.stock_by_need(performance).await {
            Ok(stock) => Ok(stock),
            Err(SeatMapError::Unavailable(unavailable)) => Err(unavailable),
            Err(error) => Err(Unavailable::new("the seat map", error)),
        }
    }

    async fn may_buy(&self, performance: PerformanceId, user: UserId) -> Result<bool, Unavailable> {
        let limit = match self.contexts.performance(performance).await {
            Ok(performance) => performance.seats_per_fan,
            Err(error) => return Err(Unavailable::new("the catalogue", error)),
        };
        Ok(self.seat_map.bought(performance, user).await? < limit)
    }
}
