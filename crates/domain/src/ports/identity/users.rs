use async_trait::async_trait;
use thiserror::Error;

use crate::audit_log::StaffAct;
use crate::error::{PortError, RequestError, Unavailable};
use crate::identity::account_change::{DeleteRefusal, ProfileChange};
use crate::identity::{Account, Email, PasswordHash, Role};
use crate::ids::{SessionId, UserId};
use crate::ports::identity::sessions::AccountChanged;
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

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
/// - `changes_a_profile`: what the change names; the rest stays; `None` if nobody has the id
/// - `changes_a_password`: and ends all sessions but the one that is kept, which are returned
/// - `changes_a_password_only_of_the_account_that_was_checked`: [`AccountChanged`] otherwise, and nothing changes
/// - `changes_a_role`: and ends all sessions, which are returned; the role that a user has already ends none; `None` if nobody has the id
/// - `deletes_a_user`: found neither by id nor by e-mail afterwards, nor by what stands for the address, with no session; another may sign
///   up with the address
/// - `deletes_nobody_with_open_business`: [`DeleteRefusal::Open`] while a hold is live, a paid show has not begun or a payment by card is
///   under way, and with a balance unless it is given up; nothing changes
/// - `deletes_only_the_account_that_was_checked`: [`DeleteRefusal::Changed`] otherwise, and nothing changes
/// - `writes_an_event_of_each_user`: that the user signed up, got another role by an act, and was deleted, in the transaction of the
///   change; none of a repeat, a refusal, or of many who are added at once
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user. Nobody is logged in at sign-up, so the user of the request key is the nil id.
    async fn create(
        &self,
        account: Account,
        request: Option<RequestKey>,
    ) -> Result<Applied<Account>, RequestError<EmailTaken>>;

    /// Adds many users in one step, for rehearsals. Returns how many were added; those whose address is taken are left out. They have no
    /// event.
    async fn add_all(&self, accounts: Vec<Account>) -> Result<u64, Unavailable>;

    /// Changes what a user says about the person.
    async fn change_profile(&self, id: UserId, change: ProfileChange) -> Result<Option<Account>, Unavailable>;

    /// Replaces the password of an account that was checked, and ends its sessions but `kept`.
    async fn change_password(
        &self,
        checked: &Account,
        password_hash: PasswordHash,
        kept: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>>;

    /// Gives a user a role, and ends the sessions, whose access tokens say another. The event names the act; without one there is none.
    async fn change_role(
        &self,
        id: UserId,
        role: Role,
        at: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<Vec<SessionId>>, Unavailable>;

    /// Removes the person of an account that was checked. The id stays, because the books name it.
    async fn delete(
        &self,
        checked: &Account,
        gives_up_balances: bool,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<DeleteRefusal>>;

    /// The user of this id.
    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable>;

    /// The user with this address.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable>;
}
