//! Maps the errors of the driver to those of the domain.

use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error};
use encore_domain::error::{RequestError, Unavailable};
use thiserror::Error;

use crate::batcher::Spoiled;

/// Parts of the messages with which Postgres refuses a value (SQLSTATE class 22, and 54000 for an index entry that is
/// too long). The driver does not expose the code. See `DatabaseConfig::establish` for the language of the messages.
const REFUSALS_OF_A_VALUE: [&str; 8] = [
    "out of range",
    "overflow",
    "value too long",
    "invalid byte sequence",
    "invalid input syntax",
    "incorrect binary data format",
    "unsupported Unicode escape sequence",
    "index row ",
];

/// Maps an error of the driver to `Unavailable`, which is logged where it ends a call or a step of a worker. Callers of
/// this crate do not see driver errors. A value that Postgres refuses, or a row that cannot be read, is no outage.
pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Unavailable {
    let error = error.into();
    tracing::debug!(%error, "postgres call failed");
    if error.downcast_ref::<Error>().is_some_and(is_defect) {
        Unavailable::defect("postgres", error)
    } else {
        Unavailable::new("postgres", error)
    }
}

/// Whether another attempt would fail in the same way although the database is available. A unique violation does not
/// count: it is the trace of a concurrent call, which the next attempt finds.
fn is_defect(error: &Error) -> bool {
    use DatabaseErrorKind::{
        CheckViolation, ClosedConnection, ExclusionViolation, ForeignKeyViolation, NotNullViolation,
        ReadOnlyTransaction, RestrictViolation, SerializationFailure, UnableToSendCommand, UniqueViolation,
    };
    if let Error::DatabaseError(kind, information) = error {
        let of_a_constraint = matches!(
            kind,
            CheckViolation | ExclusionViolation | ForeignKeyViolation | NotNullViolation | RestrictViolation
        );
        let of_another_kind = matches!(
            kind,
            ClosedConnection | ReadOnlyTransaction | SerializationFailure | UnableToSendCommand | UniqueViolation
        );
        let message = information.message();
        return of_a_constraint
            || !of_another_kind && REFUSALS_OF_A_VALUE.iter().any(|refusal| message.contains(refusal));
    }
    matches!(
        error,
        Error::InvalidCString(_)
            | Error::NotFound
            | Error::QueryBuilderError(_)
            | Error::DeserializationError(_)
            | Error::SerializationError(_)
    )
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

/// The answers to the calls of a batch that failed: the error to all, unless it is caused by one of several calls.
pub fn to_each<T, E: From<Unavailable>>(unavailable: Unavailable, calls: usize) -> Result<Vec<Result<T, E>>, Spoiled> {
    if calls > 1 && is_caused_by_a_call(&unavailable) {
        return Err(Spoiled);
    }
    let others = std::iter::repeat_with(|| Unavailable::of("postgres"));
    Ok(std::iter::once(unavailable).chain(others).take(calls).map(|unavailable| Err(unavailable.into())).collect())
}

/// Whether the database is available but could not execute one of the calls of a batch, or had to wait too long for a row that one
/// of them needs. Otherwise another attempt is of no use.
fn is_caused_by_a_call(unavailable: &Unavailable) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    let error = unavailable.source.as_deref().and_then(|source| source.downcast_ref::<Error>());
    match error {
        Some(Error::DatabaseError(kind, _)) => !matches!(kind, ClosedConnection | UnableToSendCommand),
        Some(Error::DeserializationError(_) | Error::NotFound) => true,
        _ => false,
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

/// The error of the driver for a row that cannot be read. The value is logged, so it must not be a secret.
pub fn corrupt(what: &'static str, value: &(impl ToString + ?Sized)) -> Error {
    Error::DeserializationError(Box::new(CorruptRow { what, value: value.to_string() }))
}

#[cfg(all(test, feature = "scratch"))]
mod tests {
    use diesel::sql_query;
    use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

    use super::*;

    #[tokio::test]
    async fn a_refusal_of_a_value_is_a_defect_and_no_outage() {
        let server =
            std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
        let mut conn = AsyncPgConnection::establish(&server).await.expect("Postgres is available");
        let of_values = [
            "SELECT 2147483647 + 1",
            "SELECT 1e200::numeric(5)",
            "SELECT '294277-01-01'::timestamptz",
            "SELECT 'x'::uuid",
            "SELECT 'xy'::varchar(1)::char(1)::int",
            r#"SELECT '"\u0000"'::jsonb ->> 0, ('["\u0000"]'::jsonb) ->> 0"#,
            "CREATE TEMPORARY TABLE t (a text PRIMARY KEY, b int CHECK (b > 0), c int NOT NULL)",
            "INSERT INTO t VALUES ('a', 0, 1)",
            "INSERT INTO t VALUES ('a', 1, NULL)",
            "INSERT INTO t SELECT string_agg(md5(n::text), ''), 1, 1 FROM generate_series(1, 150) n",
            "INSERT INTO t SELECT string_agg(md5(n::text), ''), 1, 1 FROM generate_series(1, 400) n",
        ];
        for statement in of_values {
            if let Err(error) = sql_query(statement).execute(&mut conn).await {
                let text = error.to_string();
                assert!(unavailable(error).is_defect, "{statement}: {text}");
            } else {
                assert!(statement.starts_with("CREATE"), "{statement}");
            }
        }
        let of_the_server =
            ["SET statement_timeout = 1; SELECT pg_sleep(10)", "SET statement_timeout = 0; SELECT * FROM nowhere"];
        for statements in of_the_server {
            let mut failed = None;
            for statement in statements.split("; ") {
                failed = sql_query(statement).execute(&mut conn).await.err();
            }
            let error = failed.expect(statements);
            assert!(!unavailable(error).is_defect, "{statements}");
        }
        assert!(!unavailable("connection closed").is_defect);
        assert!(unavailable(corrupt("title", "")).is_defect);
    }
}
