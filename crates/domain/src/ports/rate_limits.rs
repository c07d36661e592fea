use async_trait::async_trait;

use crate::error::PortError;
use crate::rate_limit::{LimitKey, RateLimit, RateLimited};
use crate::time::Timestamp;

/// Counts how often something was done, for all who share the store.
///
/// # Contract
/// - `takes_a_burst_and_then_one_at_a_time`: as [`RateLimit::take`] says
/// - `a_refusal_takes_nothing`: who is refused and comes back after the time that was told gets through
/// - `keys_are_apart`: what one key takes, no other misses
/// - `takes_no_more_at_once_than_one_after_the_other`: calls at once take as many as calls one after the other would
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RateLimits: Send + Sync {
    /// Takes one at `now`.
    async fn take(&self, key: &LimitKey, limit: RateLimit, now: Timestamp) -> Result<(), PortError<RateLimited>>;
}
