use async_trait::async_trait;
use thiserror::Error;

use crate::error::{PortError, Unavailable};
use crate::identity::Account;
use crate::identity::session::{NextToken, Salt, Session, SessionRecord, SessionTerms, ShownToken};
use crate::ids::{SessionId, UserId};
use crate::time::Timestamp;

/// The user's password or role is no longer the one with which the log-in was checked, or there is no such user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the account has changed since the log-in was checked")]
pub struct AccountChanged;

/// What came of showing a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The next token is in force.
    Rotated(Session),
    /// The token was used before. The child that it got then, which this salt gives, is still unused.
    Again(Session, Salt),
    /// A copy of an old token was shown. The session has ended.
    Replayed(Session),
    /// There is no live session of this token. Nothing changed.
    Refused,
}

/// A session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndedSession {
    /// When it ended.
    pub ended_at: Timestamp,
    /// Which.
    pub id: SessionId,
}

/// Stores the sessions of users. A session is live until it ends or expires.
///
/// # Contract
/// - `starts_a_session`: live afterwards, with every field as given
/// - `starts_only_while_the_account_is_unchanged`: [`AccountChanged`] if password hash or role are others, or nobody has the id
/// - `starts_no_more_than_a_user_may_have`: beyond [`SESSIONS_PER_USER_MAX`](crate::identity::session::SESSIONS_PER_USER_MAX), the live
///   session that was refreshed longest ago ends, and is returned
/// - `rotates_the_current_token`: [`Refreshed::Rotated`] with the new times; the next token is then the current one
/// - `repeats_a_used_token_while_its_child_is_unused`: [`Refreshed::Again`] with the salt of the first use; nothing changes
/// - `agrees_on_one_child_under_contention`: of twenty concurrent calls with one token and different next tokens, one rotates and all
///   others get its salt
/// - `ends_a_session_at_a_replay`: [`Refreshed::Replayed`]; the session has ended, the user's others have not
/// - `refuses_what_is_of_no_live_session`: [`Refreshed::Refused`] for an unknown or ended session, an expired one, and a token of another
///   family; nothing changes
/// - `ends_a_session_of_its_user`: true if it was live and is the user's; false otherwise, and nothing changes
/// - `ends_all_sessions_of_a_user`: every live one, which are returned; those of other users are not touched
/// - `lists_live_sessions`: those of the user that have neither ended nor expired, last refreshed first
/// - `tells_who_ended`: in the order of their ends and ids, after the given one, up to the limit
/// - `expires_what_is_due`: ends up to a limit of sessions whose expiry has passed, at the given time
/// - `forgets_what_ended`: deletes up to a limit of sessions that ended by a time; no others
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Starts a session of the account, which was checked before. Returns the sessions that ended to make room.
    async fn start(
        &self,
        record: SessionRecord,
        account: &Account,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>>;

    /// Shows a refresh token, and proposes the next. Concurrent calls of one session are decided one after the other.
    async fn refresh(
        &self,
        shown: ShownToken,
        next: NextToken,
        at: Timestamp,
        terms: &SessionTerms,
    ) -> Result<Refreshed, Unavailable>;

    /// Ends a session.
    async fn end(&self, user: UserId, session: SessionId, at: Timestamp) -> Result<bool, Unavailable>;

    /// Ends all sessions of a user.
    async fn end_all(&self, user: UserId, at: Timestamp) -> Result<Vec<SessionId>, Unavailable>;

    /// The sessions of a user that are live at this time.
    async fn live(&self, user: UserId, at: Timestamp) -> Result<Vec<Session>, Unavailable>;

    /// Sessions that ended after this one.
    async fn ended_after(&self, after: EndedSession, limit: u32) -> Result<Vec<EndedSession>, Unavailable>;

    /// Ends sessions that expired by this time. Returns how many.
    async fn expire(&self, at: Timestamp, limit: u32) -> Result<u64, Unavailable>;

    /// Deletes sessions that ended by this time. Returns how many.
    async fn forget(&self, ended_by: Timestamp, limit: u32) -> Result<u64, Unavailable>;
}
