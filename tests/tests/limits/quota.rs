//! What a caller beyond a limit is told.

use std::time::Duration;

use encore_tests::fan::{reason, reason_metadata};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The quota that a refusal names. It comes with its violation and with when to retry.
pub(crate) fn quota(refusal: &Status) -> String {
    assert_eq!((refusal.code(), reason(refusal).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"), "{refusal}");
    let quota = reason_metadata(refusal, "quota").expect("the name of the quota");
    let details = refusal.get_error_details();
    let failure = details.quota_failure().expect("a violation");
    assert_eq!(failure.violations.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>(), [quota.as_str()]);
    assert!(retry_after(refusal) > Duration::ZERO);
    quota
}

/// When to retry.
pub(crate) fn retry_after(refusal: &Status) -> Duration {
    refusal.get_error_details().retry_info().and_then(|retry| retry.retry_delay).expect("when to retry")
}
