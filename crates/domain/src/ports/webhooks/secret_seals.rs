use uuid::Uuid;

use crate::identity::session::Secret;
use crate::webhook::SealedSecret;

/// Makes secrets that must be read again unreadable where they are stored.
///
/// # Contract
/// - a sealed secret is opened by every instance that has the key with which it was sealed, for what it was sealed for
/// - anything else is not opened: another secret's seal, one for something else, one that was altered
/// - nobody can tell from a sealed secret what is inside
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait SecretSeals: Send + Sync {
    /// Seals a secret of something, such as an endpoint.
    fn seal(&self, secret: &Secret, of: Uuid) -> SealedSecret;

    /// The secret inside; none if it cannot be opened.
    fn open(&self, sealed: &SealedSecret, of: Uuid) -> Option<Secret>;
}
