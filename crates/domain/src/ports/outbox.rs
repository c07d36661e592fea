use async_trait::async_trait;

use crate::error::Unavailable;
use crate::event::OutboxRecord;

/// Reads the events that the other ports write in their transactions.
///
/// # Contract
/// - records come in the order of their sequence, after the one given, at most `limit`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The records after a sequence number; 0 for all.
    async fn after(&self, sequence: i64, limit: u32) -> Result<Vec<OutboxRecord>, Unavailable>;
}
