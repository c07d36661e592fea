//! Maps the errors of the driver to those of the domain.

use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error};
use encore_domain::error::{RequestError, Unavailable};
use thiserror::Error;

/// Logs an error of the driver and maps it to `Unavailable`. Callers of this crate do not see driver errors.
pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Unavailable {
    let error = error.into();
    tracing::warn!(%error, "postgres call failed; reported as unavailable");
    Unavailable::new("postgres", error)
}

/// Why a transaction was rolled back.
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

/// The error of an operation that has no refusals and takes no request.
pub fn is_transient(error: &Error) -> bool {
    let Error::DatabaseError(kind, information) = error else {
        return false;
    };
    // The driver has no kind for 40P01 and does not expose the code, so the message is compared.
    matches!(kind, DatabaseErrorKind::SerializationFailure) || information.message() == "deadlock detected"
}

/// A row has a value that the domain does not allow. Something other than this crate wrote it.
#[derive(Debug, Error)]
#[error("a row has an invalid {what}: {value:?}")]
pub struct CorruptRow {
    what: &'static str,
    value: String,
}

/// The error of the driver for a row that cannot be read.
pub fn corrupt(what: &'static str, value: &(impl ToString + ?Sized)) -> Error {
    Error::DeserializationError(Box::new(CorruptRow { what, value: value.to_string() }))
}
