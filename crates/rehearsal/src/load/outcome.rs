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

/// How calls end that their caller gave up waiting for: tonic's clients report their own deadline as a cancellation.
const GIVEN_UP: [Code; 2] = [Code::DeadlineExceeded, Code::Cancelled];

impl Outcome {
    /// A wait that was given up without a status, such as that for news on a stream.
    pub fn given_up() -> Self {
        Self::Failed(code_name(Code::DeadlineExceeded))
    }

    /// Whether it is an answer: a success, or a refusal.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Success | Self::Refused(_) => true,
            Self::Failed(_) => false,
        }
    }

    /// Whether the caller's patience ended before an answer was there.
    pub fn is_given_up(&self) -> bool {
        match self {
            Self::Success | Self::Refused(_) => false,
            Self::Failed(code) => GIVEN_UP.iter().any(|given_up| *code == code_name(*given_up)),
        }
    }

    /// Sorts an answer.
    pub fn of<T>(answer: &Result<T, Status>) -> Self {
        match answer {
            Ok(_) => Self::Success,
            Err(status) => Self::of_status(status),
        }
    }

    /// A refusal is an answer: it names its reason, and calling again would not help. An unavailable store and a bug are failures.
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
                None => Self::Failed(code_name(status.code())),
            },
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Failed(code_name(status.code())),
        }
    }
}

fn code_name(code: Code) -> String {
    format!("{code:?}")
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
    fn an_unavailable_store_is_not_counted_as_a_refusal() {
        let details =
            ErrorDetails::with_error_info("SEATS_TAKEN", "encore", HashMap::from([("seats".into(), "A-1".into())]));
        let refused = Status::with_error_details(Code::FailedPrecondition, "taken", details);
        assert_eq!(Outcome::of_status(&refused), Outcome::Refused("SEATS_TAKEN".into()));
        assert_eq!(Outcome::of_status(&Status::unavailable("away")), Outcome::Failed("Unavailable".into()));
        assert_eq!(Outcome::of_status(&Status::not_found("no route")), Outcome::Failed("NotFound".into()));
        assert_eq!(Outcome::of(&Ok::<_, Status>(())), Outcome::Success);
    }

    #[test]
    fn who_gave_up_is_told_from_who_was_failed() {
        assert!(Outcome::of_status(&Status::deadline_exceeded("late")).is_given_up());
        assert!(Outcome::of_status(&Status::cancelled("Timeout expired")).is_given_up());
        assert!(Outcome::given_up().is_given_up());
        assert!(!Outcome::of_status(&Status::unavailable("away")).is_given_up());
        assert!(!Outcome::Success.is_given_up() && !Outcome::Refused("SEATS_TAKEN".into()).is_given_up());
    }
}
