use tonic::Status;

/// Why a baseline cannot be measured. A rehearsal goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The server has no health service, or none that answers.
    #[error("the server's health service cannot be reached")]
    Transport(#[source] Box<Status>),
    /// There is no channel to call through.
    #[error("the transport has no channel")]
    NoChannel,
    /// There is no Redis at that address, or none that answers.
    #[error("redis cannot be reached")]
    Redis(#[from] redis::RedisError),
    /// There is no Postgres at that address, or it refuses what a baseline asks of it, such as a database of its own.
    #[error("postgres cannot be reached or refuses")]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection to Postgres came free.
    #[error("postgres gives no connection in time")]
    NoConnection,
}

impl From<bb8::RunError<tokio_postgres::Error>> for BaselineError {
    fn from(error: bb8::RunError<tokio_postgres::Error>) -> Self {
        match error {
            bb8::RunError::User(error) => Self::Postgres(error),
            bb8::RunError::TimedOut => Self::NoConnection,
        }
    }
}
