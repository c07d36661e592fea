//! How an operation of a port can fail: a refusal that the caller can understand, or unavailability.

use thiserror::Error;

/// A store or another service could not be reached, or did not answer in time. The operation may or may not have had its
/// effect; repeating it with the same request is safe.
#[derive(Debug, Error)]
#[error("{what} {}", if *is_defect { "refused or cannot read a value" } else { "is unavailable" })]
pub struct Unavailable {
    /// The name of the store or service.
    pub what: &'static str,
    /// The store was reached. It refused a value that no rule of the domain had refused, or holds one that cannot be
    /// read. This is a defect of Encore and no outage: repeating the operation does not help.
    pub is_defect: bool,
    /// The driver's error, for the log only.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Unavailable {
    /// Unavailable with its cause.
    pub fn new(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what, is_defect: false, source: Some(source.into()) }
    }

    /// Unavailable without a cause.
    pub fn of(what: &'static str) -> Self {
        Self { what, is_defect: false, source: None }
    }

    /// A value that was refused or cannot be read, with the cause.
    pub fn defect(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { is_defect: true, ..Self::new(what, source) }
    }
}

/// Why an operation of a port that changes something did nothing. `R` is the operation's own enum of refusals.
#[derive(Debug, Error)]
pub enum PortError<R> {
    /// A rule forbids it; nothing was changed.
    #[error("refused")]
    Refused(R),
    /// The store cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an operation that remembers its request did nothing. `R` is the operation's own enum of refusals;
/// [`Infallible`](std::convert::Infallible) where it has none.
#[derive(Debug, Error)]
pub enum RequestError<R> {
    /// A rule forbids it; nothing was changed.
    #[error("refused")]
    Refused(R),
    /// The request id was used before with another body; nothing was changed.
    #[error("the request id was used for another request")]
    Reused,
    /// The store cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
