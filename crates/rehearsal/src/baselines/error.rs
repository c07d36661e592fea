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
}
