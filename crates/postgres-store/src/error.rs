//! From the driver's errors to the domain's.

use std::convert::Infallible;
use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error};
use encore_domain::error::{PortError, Unavailable};
use thiserror::Error;

/// Unavailable, logged here because nobody above may look at a driver's error.
pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Unavailable {
    let error = error.into();
    tracing::warn!(%error, "a call to postgres failed");
    Unavailable::new("postgres", error)
}

/// How a transaction ended without its effect. It was rolled back.
#[derive(Debug)]
pub enum TxError<R> {
    /// The answer of the port.
    Port(PortError<R>),
    /// The database's word; worth another attempt if [`is_transient`].
    Database(Error),
}

impl<R> TxError<R> {
    /// A rule says no.
    pub fn refused(refusal: R) -> Self {
        Self::Port(PortError::Refused(refusal))
    }
}

impl<R> From<Error> for TxError<R> {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl<R> From<Unavailable> for TxError<R> {
    fn from(unavailable: Unavailable) -> Self {
        Self::Port(unavailable.into())
    }
}

/// The unavailability of an operation that has no refusals and takes no request.
pub fn never_refused(error: PortError<Infallible>) -> Unavailable {
    match error {
        PortError::Unavailable(unavailable) => unavailable,
        PortError::Refused(never) => match never {},
        PortError::RequestReused => Unavailable::of("postgres"),
    }
}

/// Whether the transaction lost against another one and may succeed if it is tried again.
pub fn is_transient(error: &Error) -> bool {
    let Error::DatabaseError(kind, information) = error else {
        return false;
    };
    // The driver has no kind for 40P01 and does not show the code, so its message has to do.
    matches!(kind, DatabaseErrorKind::SerializationFailure) || information.message() == "deadlock detected"
}

/// A row holds what the domain does not allow, so something else wrote it.
#[derive(Debug, Error)]
#[error("a row holds a {what} that is none: {value:?}")]
pub struct CorruptRow {
    what: &'static str,
    value: String,
}

/// The driver's error for a row that cannot be read.
pub fn corrupt(what: &'static str, value: &(impl ToString + ?Sized)) -> Error {
    Error::DeserializationError(Box::new(CorruptRow { what, value: value.to_string() }))
}
