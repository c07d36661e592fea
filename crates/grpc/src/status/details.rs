//! The parts that statuses are made of.

use std::collections::HashMap;
use std::time::Duration;

use encore_proto::common::v1::ErrorReason;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

/// The `domain` of every `ErrorInfo`.
const ERROR_DOMAIN: &str = "encore";
/// The retry delay while a store is unavailable: long enough for a fail-over to be detected, and far shorter than a
/// hold.
pub(super) const RETRY_AFTER_UNAVAILABLE: Duration = Duration::from_secs(1);
/// The retry delay while a bounded work queue is full.
pub(super) const RETRY_AFTER_OVERLOAD: Duration = Duration::from_secs(2);

/// A refusal with a reason and its metadata.
pub(crate) fn refusal<const N: usize>(
    code: Code,
    message: impl Into<String>,
    reason: ErrorReason,
    metadata: [(&str, String); N],
) -> Status {
    Status::with_error_details(code, message, info(reason, metadata))
}

/// A refusal that ends by itself after some time.
pub(super) fn retry_later(code: Code, message: impl Into<String>, reason: ErrorReason, after: Duration) -> Status {
    let mut details = info(reason, []);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// A refusal because of a quota, with what to do.
pub(super) fn quota_failure(
    message: impl Into<String>,
    subject: &str,
    description: &str,
    retry_after: Duration,
) -> Status {
    let mut details = info(ErrorReason::RateLimited, [("quota", subject.to_owned())]);
    details.set_retry_info(Some(retry_after));
    details.add_quota_failure_violation(subject, description);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// Adds a message of the contract to the details. A status whose details cannot be decoded is returned as it is.
pub(super) fn with_detail<D: Message>(status: Status, type_name: &str, detail: &D) -> Status {
    let Ok(mut detailed) = pb::Status::decode(status.details()) else { return status };
    let type_url = format!("type.googleapis.com/{type_name}");
    detailed.details.push(Any { type_url, value: detail.encode_to_vec() });
    Status::with_details(status.code(), status.message(), detailed.encode_to_vec().into())
}

/// The details that every status has.
pub(super) fn info<const N: usize>(reason: ErrorReason, metadata: [(&str, String); N]) -> ErrorDetails {
    let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(name, ERROR_DOMAIN, metadata)
}
