use async_trait::async_trait;

use crate::error::Unavailable;
use crate::request::ForgottenRequests;
use crate::time::Timestamp;

/// Forgets the requests of holds: those that placed, extended or gave back one. All others are few, or moved money, and are kept.
///
/// # Contract
/// - `forgets_requests_of_old_holds`: those made before that time, oldest first, at most `limit` in a step, each once; a repeat of a later
///   one is answered as before
/// - `keeps_requests_that_moved_money`: top-ups, payments and cancellations, whatever their age, are repeated as before
/// - `never_places_two_holds_for_a_request`: the id of a request that placed a hold and is forgotten places no other:
///   [`RequestError::Reused`](crate::error::RequestError::Reused)
/// - `knows_the_request_of_a_live_hold`: the same, whatever the seats, while the hold that it placed is live
/// - `audits_what_was_forgotten`: the audit has no finding before, in between and after
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RequestRecords: Send + Sync {
    /// Looks at the next requests of holds that were made before `before`, and forgets those whose hold exists. The others are what the
    /// audit finds, and are kept. Several callers take turns.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<ForgottenRequests, Unavailable>;
}
