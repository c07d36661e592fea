//! What became of a call, as measurements sort it.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered as hoped.
    Success,
    /// Answered with a refusal that the contract names: its reason.
    Refused(String),
    /// Not answered as it should be: the status code.
    Failed(String),
}

impl Outcome {
    /// Sorts an answer.
    pub fn of<T>(answer: &Result<T, Status>) -> Self {
        match answer {
            Ok(_) => Self::Success,
            Err(status) => Self::of_status(status),
        }
    }

    /// A refusal is an answer: it names its reason, and calling again would not help. Weather and mistakes are failures.
    pub fn of_status(status: &Status) -> Self {
        match status.code() {
            Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange => match reason(status) {
                Some(reason) => Self::Refused(reason),
                None => Self::Failed(format!("{:?}", status.code())),
            },
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Failed(format!("{:?}", status.code())),
        }
    }
}

/// The reason that a refusal gives, as in `ErrorReason` without its prefix.
pub fn reason(status: &Status) -> Option<String> {
    status.get_error_details().error_info().map(|info| info.reason.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_names_its_reason_and_weather_does_not_count_as_one() {
        let details =
            ErrorDetails::with_error_info("SEATS_TAKEN", "encore", HashMap::from([("seats".into(), "A-1".into())]));
        let refused = Status::with_error_details(Code::FailedPrecondition, "taken", details);
        assert_eq!(Outcome::of_status(&refused), Outcome::Refused("SEATS_TAKEN".into()));
        assert_eq!(Outcome::of_status(&Status::unavailable("away")), Outcome::Failed("Unavailable".into()));
        assert_eq!(Outcome::of_status(&Status::not_found("no route")), Outcome::Failed("NotFound".into()));
        assert_eq!(Outcome::of(&Ok::<_, Status>(())), Outcome::Success);
    }
}
