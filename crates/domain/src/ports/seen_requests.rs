use async_trait::async_trait;

use crate::error::Unavailable;
use crate::request::RequestKey;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is new, and known from now on.
    First,
    /// It was seen before with the same body.
    Same,
    /// Its id was seen before with another body.
    Other,
}

/// Remembers, for a day, the requests of operations that are harmless to repeat, so that another body under the same
/// id is noticed. Operations with an effect worth protecting keep their requests in their own transactions instead.
///
/// # Contract
/// - `remembers_a_request`: first, then the same
/// - `notices_another_body`: other, and the first body stays the one remembered
/// - `recognises_a_request_across_versions`: it is the same if [`Fingerprint::repeats`](crate::request::Fingerprint::repeats)
///   says so
/// - `keeps_users_apart`: ids of different users never meet
/// - `remembers_once_under_contention`: of twenty at once, one is the first
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeenRequests: Send + Sync {
    /// Remembers a request and says what was known of it.
    async fn remember(&self, request: RequestKey) -> Result<Seen, Unavailable>;
}
