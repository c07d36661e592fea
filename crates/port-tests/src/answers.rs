//! Unwraps the results of ports, and panics with the unexpected result.

use std::fmt::Debug;

use encore_domain::error::{PortError, RequestError};
use encore_domain::request::Applied;

/// The value of a change that this call made.
#[track_caller]
pub fn made<T: Debug, R: Debug>(answer: Result<Applied<T>, RequestError<R>>) -> T {
    match answer {
        Ok(Applied::Now(value)) => value,
        Ok(Applied::Before(value)) => panic!("expected a change made now, not before: {value:?}"),
        Err(error) => panic!("expected a change made now: {error:?}"),
    }
}

/// The value of a change that an earlier call with the same request made.
#[track_caller]
pub fn repeated<T: Debug, R: Debug>(answer: Result<Applied<T>, RequestError<R>>) -> T {
    match answer {
        Ok(Applied::Before(value)) => value,
        Ok(Applied::Now(value)) => panic!("expected a change made before, not now: {value:?}"),
        Err(error) => panic!("expected a change made before: {error:?}"),
    }
}

/// The errors of ports that may be refusals.
pub trait MayRefuse: Debug + Sized {
    type Refusal;

    /// The refusal; the error itself if it is another.
    fn refusal(self) -> Result<Self::Refusal, Self>;
}

impl<R: Debug> MayRefuse for PortError<R> {
    type Refusal = R;

    fn refusal(self) -> Result<R, Self> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Unavailable(_) => Err(self),
        }
    }
}

impl<R: Debug> MayRefuse for RequestError<R> {
    type Refusal = R;

    fn refusal(self) -> Result<R, Self> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Reused | Self::Unavailable(_) => Err(self),
        }
    }
}

/// The refusal.
#[track_caller]
pub fn refused<T: Debug, E: MayRefuse>(answer: Result<T, E>) -> E::Refusal {
    match answer.map_err(MayRefuse::refusal) {
        Err(Ok(refusal)) => refusal,
        Err(Err(error)) => panic!("expected a refusal: {error:?}"),
        Ok(value) => panic!("expected a refusal: {value:?}"),
    }
}

/// Checks that the request id was known with another body.
#[track_caller]
pub fn assert_reused<T: Debug, R: Debug>(answer: &Result<T, RequestError<R>>) {
    assert!(matches!(answer, Err(RequestError::Reused)), "expected a reused request: {answer:?}");
}

/// Checks that one call made the change and that all others returned its value. Returns the value.
#[track_caller]
pub fn made_once<T: Debug + PartialEq, R: Debug>(answers: Vec<Result<Applied<T>, RequestError<R>>>) -> T {
    let (mut made, mut before) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(Applied::Now(value)) => made.push(value),
            Ok(Applied::Before(value)) => before.push(value),
            Err(error) => panic!("expected the change or a repeat of it: {error:?}"),
        }
    }
    assert_eq!(made.len(), 1, "made once: {made:?}");
    let value = made.remove(0);
    for other in before {
        assert_eq!(other, value, "a repeat returns the value of the first call");
    }
    value
}

/// Separates the changes made now from the refusals. Any other result fails the test.
#[track_caller]
pub fn made_and_refused<T: Debug, R: Debug>(answers: Vec<Result<Applied<T>, RequestError<R>>>) -> (Vec<T>, Vec<R>) {
    let (mut made, mut refusals) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(Applied::Now(value)) => made.push(value),
            Err(RequestError::Refused(refusal)) => refusals.push(refusal),
            Ok(Applied::Before(value)) => panic!("expected a change or a refusal, not a repeat: {value:?}"),
            Err(error @ (RequestError::Reused | RequestError::Unavailable(_))) => {
                panic!("expected a change or a refusal: {error:?}")
            }
        }
    }
    (made, refusals)
}
