//! The refusals of layers and streams, which no use case makes.

use std::time::Duration;

use encore_domain::identity::Role;
use encore_proto::common::v1::ErrorReason;
use tonic::{Code, Status};

use crate::status::details::{RETRY_AFTER_OVERLOAD, RETRY_AFTER_UNAVAILABLE, quota_failure, refusal, retry_later};

/// The retry delay where a caller has as much open as it may. Its own calls end, and make room.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(1);
/// The delay before a client reconnects when an instance shuts down.
const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_millis(500);

/// The deadline that the client set has passed.
pub(crate) fn deadline_exceeded() -> Status {
    let message = "the deadline of the call has passed: a call that changes something may still be carried out";
    refusal(Code::DeadlineExceeded, message, ErrorReason::DeadlineExceeded, [])
}

/// The call carried no access token.
pub(crate) fn credentials_missing() -> Status {
    let message = "an access token is required: send the metadata authorization: Bearer <token>";
    refusal(Code::Unauthenticated, message, ErrorReason::CredentialsMissing, [])
}

/// The access token is invalid.
pub(crate) fn credentials_invalid() -> Status {
    let message = "the access token is invalid or has expired, or its session has ended: refresh the session or log in";
    refusal(Code::Unauthenticated, message, ErrorReason::CredentialsInvalid, [])
}

/// The caller has a role that may not call the RPC. These may.
pub(crate) fn role_not_allowed(allowed: &[Role]) -> Status {
    let roles: Vec<String> = allowed.iter().map(|role| role.name().to_uppercase()).collect();
    let roles = roles.join(",");
    let message = match allowed {
        [] => "nobody may call this RPC".to_owned(),
        _ => format!("users of your role may not call this RPC: it is for {roles}"),
    };
    refusal(Code::PermissionDenied, message, ErrorReason::RoleNotAllowed, [("roles", roles)])
}

/// This instance is shutting down.
pub(crate) fn shutting_down() -> Status {
    let message = "this instance is shutting down: reconnect";
    retry_later(Code::Unavailable, message, ErrorReason::ShuttingDown, RETRY_AFTER_SHUTDOWN)
}

/// A quota of what may be open or under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Connections, in all or from one address.
    Connections,
    /// Calls without a valid access token, per connection.
    AnonymousCalls,
    /// Calls and streams of one user.
    CallsOfUser,
    /// Calls of one user in a second.
    CallsPerSecond,
    /// Bytes of open calls and of replies that were not read, per connection or in all.
    BytesInFlight,
    /// Calls of one user, or from one address without a token, that wait for a store.
    Stores,
}

impl Quota {
    /// The quota and what to do, as in the violation of a `QuotaFailure`.
    fn subject_and_description(self) -> (&'static str, &'static str) {
        match self {
            Self::Connections => ("connections", "too many connections: close those that are not used"),
            Self::AnonymousCalls => {
                ("anonymous_calls", "too many calls of this connection are open: send an access token, or wait")
            }
            Self::CallsOfUser => ("calls_of_user", "too many calls of this user are open"),
            Self::CallsPerSecond => ("calls_per_second", "too many calls of this user in a second"),
            Self::BytesInFlight => ("bytes_in_flight", "too many bytes are in flight: end requests, read replies"),
            Self::Stores => ("calls_at_once", "too many calls of this caller wait for a store"),
        }
    }
}

/// The caller has as much open or under way as it may. Nothing was done.
pub(crate) fn rate_limited(quota: Quota) -> Status {
    let (subject, description) = quota.subject_and_description();
    quota_failure(description, subject, description, RETRY_AFTER_LIMIT)
}

/// The body of the request did not come in time.
pub(crate) fn body_overdue() -> Status {
    let message = "the body of the request did not come in time";
    refusal(Code::DeadlineExceeded, message, ErrorReason::DeadlineExceeded, [])
}

/// The reply was taken away, because its client did not read it.
pub(crate) fn reply_not_read() -> Status {
    retry_later(Code::Unavailable, "the reply was not read in time", ErrorReason::Overloaded, RETRY_AFTER_OVERLOAD)
}

/// The use case did not answer before its deadline.
pub(crate) fn no_answer_in_time() -> Status {
    let message = "the call timed out: it is safe to retry it with the same request_id";
    retry_later(Code::Unavailable, message, ErrorReason::StoreUnavailable, RETRY_AFTER_UNAVAILABLE)
}
