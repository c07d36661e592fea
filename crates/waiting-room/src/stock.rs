//! What is left to buy, which limits how many fans a queue calls, and for whom.

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};

/// Where the waiting room reads how many seats are free and held, and whether a fan may buy one. The seat map provides it; the
/// server connects the two.
///
/// It is read once per tick and open queue to limit calls, and once per renewal of a replica. A value may be a few seconds old:
/// it limits how many fans are called, and decides no hold.
#[async_trait]
pub trait Stock: Send + Sync {
    /// The free and held seats of a performance, by who may buy them.
    async fn stock(&self, performance: PerformanceId) -> Result<StockByNeed, Unavailable>;

    /// Whether a fan may buy another seat of a performance: a fan who has bought as many as one fan may may not. Seats that the fan
    /// holds do not count, because they can be paid. It is asked once when a fan accepts a call.
    async fn may_buy(&self, performance: PerformanceId, user: UserId) -> Result<bool, Unavailable>;
}
