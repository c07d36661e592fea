use async_trait::async_trait;
use thiserror::Error;

use crate::identity::{Password, PasswordHash};

/// Why a password was neither hashed nor checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashingError {
    /// Too many calls are waiting for the few cores that hashing may use; try again later.
    #[error("too many passwords are being hashed")]
    Overloaded,
    /// The stored hash is not one that this adapter made.
    #[error("the stored password hash cannot be read")]
    Unreadable,
}

/// Hashes passwords with a slow algorithm, without delaying other work.
///
/// # Contract
/// - a hash verifies the password it was made from, and no other
/// - the same password hashes differently each time
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Hashes a password for storage.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError>;

    /// Says whether a password is the one that was hashed.
    async fn verify(&self, password: &Password, hash: &PasswordHash) -> Result<bool, HashingError>;
}
