//! From the driver's errors to the domain's.

use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error};
use encore_domain::error::{RequestError, Unavailable};
use thiserror::Error;

/// Unavailable, logged here because nobody above may look at a driver's error.
pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Unavailable {
    let error = error.into();
    tracing::warn!(%error, "a call to postgres failed");
    Unavailable::new("postgres", error)
}

/// How a transaction ended without its effect. It was rolled back. `E` is the error of the port's operation.
#[derive(Debug)]
pub enum TxError<E> {
    /// The answer of the port.
    Port(E),
    /// The database's error; worth another attempt if [`is_transient`].
    Database(Error),
}

impl<R> TxError<RequestError<R>> {
    /// A rule forbids it.
    pub fn refused(refusal: R) -> Self {
        Self::Port(RequestError::Refused(refusal))
    }
}

impl<E> From<Error> for TxError<E> {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl<E: From<Unavailable>> From<Unavailable> for TxError<E> {
    fn from(unavailable: Unavailable) -> Self {
        Self::Port(unavailable.into())
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
