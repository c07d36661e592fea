use std::collections::HashSet;

use async_trait::async_trait;

use crate::error::Unavailable;
use crate::time::Timestamp;

/// The events of which fans were told, so that nobody is told twice.
///
/// # Contract
/// - `noting`: events that were noted together are found by their ids; noting one again changes nothing
/// - `forgetting_notes`: old notes go, at most `limit` at once, and no others
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Notifications: Send + Sync {
    /// Which of these events were noted.
    async fn noted(&self, events: &[String]) -> Result<HashSet<String>, Unavailable>;

    /// Notes events: all of them or none.
    async fn note(&self, events: &[String], at: Timestamp) -> Result<(), Unavailable>;

    /// Deletes what was noted before a moment. Returns how many.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable>;
}
