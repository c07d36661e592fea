//! Verifying an e-mail address with a secret that was sent to it.

use std::time::Duration;

use thiserror::Error;

use crate::identity::session::SecretDigest;
use crate::ids::UserId;
use crate::time::Timestamp;

/// How long a verification can be used: people read mails the next morning.
pub const VERIFICATION_LIFETIME: Duration = Duration::from_hours(24);
/// The most verifications of a user that can be used. One more replaces the oldest: mails overtake each other.
pub const VERIFICATIONS_PER_USER_MAX: usize = 3;

/// Whether fans must verify their e-mail addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerificationPolicy {
    /// They may. A sign-up starts a session.
    #[default]
    Optional,
    /// Nobody logs in before. A sign-up starts no session, and its answer does not tell whether the address is taken.
    Required,
}

/// A verification that can be used once. Of its secret only the digest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmailVerification {
    /// Of the secret that was sent.
    pub digest: SecretDigest,
    /// Whose address it verifies.
    pub user: UserId,
    /// When it was asked for.
    pub made_at: Timestamp,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// There is no verification with this secret, it was used or replaced, or it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no e-mail address can be verified with this token")]
pub struct NoSuchVerification;
