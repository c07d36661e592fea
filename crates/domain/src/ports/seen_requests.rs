use async_trait::async_trait;

use crate::error::Unavailable;
use crate::request::RequestKey;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is new, and is remembered from now on.
    First,
    /// It was seen before with the same body.
    Same,
    /// Its id was seen before with another body.
    Other,
}

/// Remembers for a day the requests of idempotent operations, so that the same id with another body is detected. The other
/// operations store their requests in their own transactions.
///
/// # Contract
/// - `remembers_a_request`: [`Seen::First`], then [`Seen::Same`]
/// - `notices_another_body`: [`Seen::Other`]; the first body stays remembered
/// - `recognises_a_request_across_versions`: it is the same if [`Fingerprint::repeats`](crate::request::Fingerprint::repeats)
///   says so
/// - `keeps_users_apart`: the same id of another user is another request
/// - `remembers_once_under_contention`: of twenty concurrent calls, one gets [`Seen::First`]
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeenRequests: Send + Sync {
    /// Remembers a request and returns what was known of it before.
    async fn remember(&self, request: RequestKey) -> Result<Seen, Unavailable>;
}
