//! The number of seats left, which limits how many fans a queue calls.

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;

/// Where the waiting room reads how many seats are free and held. The seat map provides it; the server connects the two.
///
/// It is read once per tick and open queue to limit calls, and once per renewal of a replica. A value may be a few seconds old:
/// it limits how many fans are called, and decides no hold.
#[async_trait]
pub trait Stock: Send + Sync {
    /// The free and held seats of a performance, by who may buy them.
    async fn stock(&self, performance: PerformanceId) -> Result<StockByNeed, Unavailable>;
}
