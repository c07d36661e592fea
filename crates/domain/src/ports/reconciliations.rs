use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::AttemptId;
use crate::payment::reconciliation::{Difference, Unreconciled};
use crate::time::Timestamp;

/// Keeps which attempts to pay by card were compared with the gateway, and what differed.
///
/// # Contract
/// - `takes_what_has_come_to_rest`: attempts that were begun before that time, of payments with nothing left to do, oldest first, at most
///   `limit`
/// - `compares_each_attempt_once`: one that was recorded is not taken again, until a refund of it is begun
/// - `a_difference_is_a_finding`: of the audit, for the payment, until the attempt is recorded without one
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Reconciliations: Send + Sync {
    /// Attempts that are to be compared.
    async fn unreconciled(&self, begun_before: Timestamp, limit: u32) -> Result<Vec<Unreconciled>, Unavailable>;

    /// Records what a comparison found.
    async fn record(
        &self,
        attempt: AttemptId,
        difference: Option<Difference>,
        at: Timestamp,
    ) -> Result<(), Unavailable>;
}
