//! The error of the waiting room, and how errors of its ports become one.

use encore_domain::error::{PortError, Unavailable};
use encore_domain::queue::EndReason;
use thiserror::Error;

/// Why a call of the [`WaitingRoom`](crate::WaitingRoom) had no result.
#[derive(Debug, Error)]
pub enum WaitingRoomError {
    /// The performance has no queue.
    #[error("the performance has no queue")]
    NoQueue,
    /// The queue drains, and the fan has no token in it.
    #[error("the queue is draining and gives out no new token")]
    Draining,
    /// The numbers of the queue are not drawn; they follow the order of joining.
    #[error("the queue has no draw")]
    NoDraw,
    /// The fan used the request id before, for another request about the queue.
    #[error("the request id was used for another request")]
    RequestReused,
    /// The token waits or is called, and so is not active yet.
    #[error("the queue token is not active yet")]
    NotAdmitted,
    /// The token has ended.
    #[error("the queue token has ended")]
    TokenEnded(EndReason),
    /// The token has used all the hold attempts that the queue allows.
    #[error("the queue token has used all its {tries} hold attempts")]
    HoldTriesExhausted {
        /// How many the queue allows.
        tries: u32,
    },
    /// The fan has as many position streams open on this instance as one fan may have.
    #[error("the fan has too many position streams open")]
    TooManyStreams,
    /// A store is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A bug: a state that cannot occur.
    #[error("{0}")]
    Internal(String),
}

/// The refusal in an error of a port. Every other error is one of the waiting room.
pub(crate) fn refusal<R>(error: PortError<R>) -> Result<R, WaitingRoomError> {
    match error {
        PortError::Refused(refusal) => Ok(refusal),
        PortError::Unavailable(unavailable) => Err(unavailable.into()),
    }
}
