use async_trait::async_trait;

use crate::error::{PortError, Unavailable};
use crate::identity::email_verification::{EmailVerification, NoSuchVerification};
use crate::identity::session::SecretDigest;
use crate::ids::UserId;
use crate::time::Timestamp;

/// Stores what e-mail addresses can be verified with.
///
/// # Contract
/// - `verifies_an_address_once`: the user has the time afterwards, and no verification of the user can be used any more; those of others
///   can
/// - `verifies_once_under_contention`: of twenty concurrent calls with one digest, one verifies
/// - `keeps_the_latest_verifications_of_a_user`:
///   [`VERIFICATIONS_PER_USER_MAX`](crate::identity::email_verification::VERIFICATIONS_PER_USER_MAX); others' are not touched
/// - `verifies_nothing_without_a_verification`: [`NoSuchVerification`] if it is unknown or has expired, or the user was deleted; nothing
///   changes
/// - `ends_verifications_with_the_need_for_them`: a password that was reset verifies the address, too, and leaves none; nor does a deleted
///   user
/// - `writes_an_event_of_the_first_verification`: in the transaction of the change; a later one changes nothing and has none
/// - `lists_verifications_of_a_user`: the latest first, also those that have expired and are not forgotten
/// - `forgets_expired_verifications`: deletes up to a limit of those that expired by a time; no others
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EmailVerifications: Send + Sync {
    /// Adds a verification.
    async fn add(&self, verification: EmailVerification) -> Result<(), Unavailable>;

    /// Uses a verification. Returns whose it was.
    async fn verify(&self, digest: SecretDigest, at: Timestamp) -> Result<UserId, PortError<NoSuchVerification>>;

    /// The verifications of a user that are kept.
    async fn of_user(&self, user: UserId) -> Result<Vec<EmailVerification>, Unavailable>;

    /// Deletes verifications that expired by this time. Returns how many.
    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable>;
}
