//! The seat map as the waiting room's source of seat counts.

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_seat_map::{SeatMap, SeatMapError};
use encore_waiting_room::Stock;

/// Reads the counts off the seat map's replicas.
pub(crate) struct SeatMapStock(pub(crate) SeatMap);

#[async_trait]
impl Stock for SeatMapStock {
    async fn stock(&self, performance: PerformanceId) -> Result<StockByNeed, Unavailable> {
        match self.0.stock_by_need(performance).await {
            Ok(stock) => Ok(stock),
            Err(SeatMapError::Unavailable(unavailable)) => Err(unavailable),
            Err(error) => Err(Unavailable::new("the seat map", error)),
        }
    }
}
