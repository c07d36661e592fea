//! Repeats of a request: the same `request_id` has its effect once.

use crate::ids::{RequestId, UserId};

/// SHA-256 over the name of the operation and the body of the request.
pub type Fingerprint = [u8; 32];

/// Names one intended change. A store keeps it in the transaction of the change, so that a repeat finds the first
/// result and another body under the same id is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks; ids of different users never collide.
    pub user: UserId,
    /// Made by the client.
    pub id: RequestId,
    /// What was asked.
    pub fingerprint: Fingerprint,
}

/// The result of a change that may have been asked for before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied<T> {
    /// The change was made by this call.
    Now(T),
    /// An earlier call with the same request made it; this is what that call answered.
    Before(T),
}

impl<T> Applied<T> {
    /// The result, whichever call made the change.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(value) | Self::Before(value) => value,
        }
    }

    /// The result, whichever call made the change.
    pub fn get(&self) -> &T {
        match self {
            Self::Now(value) | Self::Before(value) => value,
        }
    }
}
