use async_trait::async_trait;

use crate::error::{PortError, Unavailable};
use crate::identity::PasswordHash;
use crate::identity::password_reset::{NoSuchReset, PasswordReset};
use crate::identity::session::SecretDigest;
use crate::ids::{SessionId, UserId};
use crate::time::Timestamp;

/// Stores what new passwords can be set with.
///
/// # Contract
/// - `keeps_a_reset`: its user is found by the digest until it expires; nobody by another digest
/// - `keeps_the_latest_resets_of_a_user`:
///   [`RESETS_PER_USER_MAX`](crate::identity::password_reset::RESETS_PER_USER_MAX); others' are not touched
/// - `sets_a_password_once`: and ends all sessions, which are returned; no reset of the user can be used afterwards
/// - `verifies_the_address_with_the_password`: whoever has the token receives mails at the address; with the event, if it is the first time
/// - `sets_a_password_once_under_contention`: of twenty concurrent calls with one digest, one sets its password
/// - `sets_no_password_without_a_reset`: [`NoSuchReset`] if it is unknown or has expired, or the user was deleted; nothing changes
/// - `ends_resets_with_the_password_they_were_for`: a changed password and a deleted user leave none
/// - `lists_resets_of_a_user`: the latest first, also those that have expired and are not forgotten
/// - `forgets_expired_resets`: deletes up to a limit of those that expired by a time; no others
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PasswordResets: Send + Sync {
    /// Adds a reset.
    async fn add(&self, reset: PasswordReset) -> Result<(), Unavailable>;

    /// Whose password a reset sets, if it can be used at this time.
    async fn find(&self, digest: SecretDigest, at: Timestamp) -> Result<Option<UserId>, Unavailable>;

    /// Uses a reset.
    async fn set_password(
        &self,
        digest: SecretDigest,
        password_hash: PasswordHash,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<NoSuchReset>>;

    /// The resets of a user that are kept.
    async fn of_user(&self, user: UserId) -> Result<Vec<PasswordReset>, Unavailable>;

    /// Deletes resets that expired by this time. Returns how many.
    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable>;
}
