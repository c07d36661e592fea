use async_trait::async_trait;
use thiserror::Error;

use crate::error::{RequestError, Unavailable};
use crate::identity::{Account, Email};
use crate::ids::UserId;
use crate::request::{Applied, RequestKey};

/// Another user has this e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("another user has this e-mail address")]
pub struct EmailTaken;

/// Stores the users.
///
/// # Contract
/// - `creates_a_user`: found by id and by e-mail afterwards, every field as given
/// - `refuses_a_taken_email`: [`EmailTaken`]; the first user does not change
/// - `refuses_a_taken_email_under_contention`: of twenty concurrent calls with one address, one creates a user
/// - `repeats_a_create`: the same request returns [`Applied::Before`] with the first account and creates nothing
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`]
/// - `finds_nobody`: an unknown id or address is `None`
/// - `adds_many_at_once`: a thousand in one call, which are all found afterwards; those whose address is taken are left out
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user. Nobody is logged in at sign-up, so the user of the request key is the nil id.
    async fn create(
        &self,
        account: Account,
        request: Option<RequestKey>,
    ) -> Result<Applied<Account>, RequestError<EmailTaken>>;

    /// Adds many users in one step, for rehearsals. Returns how many were added; those whose address is taken are left out.
    async fn add_all(&self, accounts: Vec<Account>) -> Result<u64, Unavailable>;

    /// The user of this id.
    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable>;

    /// The user with this address.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable>;
}
