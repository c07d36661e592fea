use async_trait::async_trait;

use crate::error::Unavailable;
use crate::time::Timestamp;

/// The clock of a store. Nothing but the check that the clocks of instances and stores agree reads it: deadlines come from
/// [`Clock`](super::Clock).
///
/// # Contract
/// - the store's time during the call, from any of its nodes
/// - unavailable if no node answers
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait StoreClock: Send + Sync {
    /// The store's current time.
    async fn now(&self) -> Result<Timestamp, Unavailable>;
}
