use async_trait::async_trait;
use uuid::Uuid;

use crate::error::Unavailable;
use crate::event::relay::RelayPosition;
use crate::time::Timestamp;

/// Where the relay of the outbox is, and which instance runs it.
///
/// # Contract
/// - `holding`: one holder at a time: another acquires the lease after it was released, or when its time is over
/// - `renewing`: the holder may acquire it again, which prolongs it
/// - `saving`: what the holder saved is found by whoever acquires the lease next; others save nothing
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RelayCursor: Send + Sync {
    /// Takes the lease, or prolongs it, until `until`. Returns the position, or none if another has the lease.
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<RelayPosition>, Unavailable>;

    /// Saves the position, if `holder` was the last to acquire the lease. Returns whether it was.
    async fn save(&self, holder: Uuid, position: &RelayPosition) -> Result<bool, Unavailable>;

    /// Ends the lease, if `holder` has it.
    async fn release(&self, holder: Uuid) -> Result<(), Unavailable>;

    /// The position that was saved last.
    async fn position(&self) -> Result<RelayPosition, Unavailable>;
}
