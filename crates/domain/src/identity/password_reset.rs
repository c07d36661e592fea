//! Setting a new password with a secret that was sent by mail.

use std::time::Duration;

use thiserror::Error;

use crate::identity::session::SecretDigest;
use crate::ids::UserId;
use crate::time::Timestamp;

/// How long a reset can be used.
pub const RESET_LIFETIME: Duration = Duration::from_mins(30);
/// The most resets of a user that can be used. One more replaces the oldest: mails overtake each other.
pub const RESETS_PER_USER_MAX: usize = 3;

/// A reset that can be used once. Of its secret only the digest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    /// Of the secret that was sent.
    pub digest: SecretDigest,
    /// Whose password it sets.
    pub user: UserId,
    /// When it was asked for.
    pub made_at: Timestamp,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// There is no reset with this secret, it was used or replaced, or it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no password can be set with this token")]
pub struct NoSuchReset;
