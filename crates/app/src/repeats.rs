//! Recognises repeated requests. A use case that may refuse a call before its store looks at the request passes its
//! outcome through here, so that no refusal is returned to a repeat. The look-up costs nothing unless a call is refused.

use std::convert::Infallible;

use encore_domain::error::RequestError;
use encore_domain::request::RequestKey;

use crate::error::AppError;

/// The outcome of a call. If the call is refused and an earlier call with the same request succeeded, the result of that
/// call is returned instead, whatever has become of queue token, hold or sale since.
pub(crate) async fn or_first_result<T, F>(
    outcome: Result<T, AppError>,
    find_first: impl FnOnce() -> F,
) -> Result<T, AppError>
where
    F: Future<Output = Result<Option<T>, RequestError<Infallible>>>,
{
    match outcome {
        Err(refusal) if refusal.may_hide_a_repeat() => find_first().await?.ok_or(refusal),
        outcome => outcome,
    }
}

/// The same for a request that may have no id.
pub(crate) async fn or_first_result_of<T, F>(
    request: Option<RequestKey>,
    outcome: Result<T, AppError>,
    find_first: impl FnOnce(RequestKey) -> F,
) -> Result<T, AppError>
where
    F: Future<Output = Result<Option<T>, RequestError<Infallible>>>,
{
    match request {
        Some(request) => or_first_result(outcome, || find_first(request)).await,
        None => outcome,
    }
}
