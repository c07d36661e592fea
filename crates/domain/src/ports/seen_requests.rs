use async_trait::async_trait;

use crate::error::Unavailable;
use crate::queue::{EndReason, QueueTokenPayload};
use crate::request::RequestKey;

/// The answer to a request about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAnswer {
    /// The fan joined and was given this token. Its user is that of the request, it is not admitted, and its time of issue is whole
    /// milliseconds.
    Joined(QueueTokenPayload),
    /// The fan left. The token ended for this reason, possibly before the request.
    Left(EndReason),
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    New,
    /// It was answered, with the same body.
    Answered(QueueAnswer),
    /// Its id was used with another body.
    Other,
}

/// Remembers for a day the requests about queues, which live in a store without records. The other operations store their requests in
/// their own transactions.
///
/// # Contract
/// - `remembers_an_answer`: a request is [`Seen::New`] until its answer is remembered, and [`Seen::Answered`] from then on. Every kind
///   of answer is read back as it was
/// - `keeps_the_first_answer`: remembering another answer to the same request returns the first one, which stays
/// - `notices_another_body`: [`Seen::Other`]; the first body and its answer stay remembered
/// - `recognises_a_request_across_versions`: it is the same if [`Fingerprint::repeats`](crate::request::Fingerprint::repeats)
///   says so
/// - `keeps_users_apart`: the same id of another user is another request
/// - `remembers_once_under_contention`: of twenty concurrent calls, one gets [`Seen::New`], and the others its answer
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeenRequests: Send + Sync {
    /// What is known of a request.
    async fn find(&self, request: RequestKey) -> Result<Seen, Unavailable>;

    /// Remembers the answer to a request, unless the request is known. Returns what was known of it before.
    async fn remember(&self, request: RequestKey, answer: QueueAnswer) -> Result<Seen, Unavailable>;
}
