use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::PerformanceId;
use crate::money::Currency;
use crate::payment::settlement::Settlement;

/// Sums up the money of performances.
///
/// # Contract
/// - `settles_nothing`: a performance without payments has zeros
/// - `settles_by_method`: payments, refunds and fees of this performance, apart for wallets and cards
/// - `settles_what_the_ledger_says`: what is due is the sum of the entries of the performance's sales
/// - `counts_open_refunds`: refunds to cards count until they are final
/// - `counts_disputes`: those that are open, and those that were lost; one that was won does not count
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Settlements: Send + Sync {
    /// The settlement of a performance, whose prices are in this currency.
    async fn of(&self, performance: PerformanceId, currency: Currency) -> Result<Settlement, Unavailable>;
}
