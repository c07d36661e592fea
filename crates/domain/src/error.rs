//! How an operation of a port can fail: a refusal that the caller can understand, or unavailability.

use thiserror::Error;

/// A store or a neighbour could not be reached, or did not answer in time. Nothing can be said of the operation's
/// effect except that repeating it with the same request is safe.
#[derive(Debug, Error)]
#[error("{what} is unavailable")]
pub struct Unavailable {
    /// What is away, in a word: `postgres`, `redis`.
    pub what: &'static str,
    /// The driver's error, for the log only.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Unavailable {
    /// Unavailable with its cause.
    pub fn new(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what, source: Some(source.into()) }
    }

    /// Unavailable without a cause worth telling.
    pub fn of(what: &'static str) -> Self {
        Self { what, source: None }
    }
}

/// Why a changing operation of a port did nothing. `R` is the operation's own enum of refusals;
/// [`Infallible`](std::convert::Infallible) where it has none.
#[derive(Debug, Error)]
pub enum PortError<R> {
    /// A rule says no; nothing was changed.
    #[error("refused")]
    Refused(R),
    /// The request id was used before with another body; nothing was changed.
    #[error("the request id was used for another request")]
    RequestReused,
    /// Unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
