//! Sessions: how they start, are refreshed and end, and how every instance learns of it.

mod ended;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encore_domain::identity::session::{
    ACCESS_TOKEN_LIFETIME_MAX, DeviceName, NextToken, RefreshToken, Salt, Session, SessionRecord, SessionTerms,
};
use encore_domain::identity::{AccessToken, AccessTokenPayload, Account, Caller};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccessTokens, AccountChanged, Clock, EndedSession, Ids, Refreshed, Sessions, Users};
use encore_domain::time::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

pub use self::ended::{EndedSessions, SessionWatch};
use crate::error::AppError;

/// How far back ended sessions are read again: longer than a transaction that ends one can take, and than clocks differ.
const FOLLOW_OVERLAP: Duration = Duration::from_secs(30);
/// How many ended sessions are read at once.
const FOLLOWED_AT_ONCE: u32 = 1_000;
/// How many expired sessions one step ends, or ended ones it deletes: it takes some 10 ms. As many may be read again by every
/// instance for as long as [`FOLLOW_OVERLAP`].
const SWEPT_AT_ONCE: u32 = 1_000;
/// How long ended sessions are kept: longer than an access token can live.
const ENDED_SESSIONS_KEPT: Duration = Duration::from_hours(48);

/// What [`SessionUseCases`] is made of.
pub struct SessionParts {
    /// The sessions.
    pub sessions: Arc<dyn Sessions>,
    /// The users, whose roles access tokens say.
    pub users: Arc<dyn Users>,
    /// Signs access tokens.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids and secrets.
    pub ids: Arc<dyn Ids>,
}

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct SessionTokens {
    /// What calls are made with.
    pub access: AccessToken,
    /// What the next tokens are had for.
    pub refresh: RefreshToken,
    /// The session.
    pub session: Session,
}

/// The use cases of sessions.
#[derive(Clone)]
pub struct SessionUseCases {
    sessions: Arc<dyn Sessions>,
    users: Arc<dyn Users>,
    access_tokens: Arc<dyn AccessTokens>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    terms: SessionTerms,
    ended: EndedSessions,
    /// Up to when the ended sessions are known, but for those within [`FOLLOW_OVERLAP`].
    followed: Arc<Mutex<Option<Timestamp>>>,
}

impl SessionUseCases {
    /// The use cases over their ports.
    pub fn new(parts: SessionParts) -> Self {
        let SessionParts { sessions, users, access_tokens, clock, ids } = parts;
        let (terms, ended, followed) = (SessionTerms::default(), EndedSessions::default(), Arc::default());
        Self { sessions, users, access_tokens, clock, ids, terms, ended, followed }
    }

    /// The same use cases with other lifetimes.
    #[must_use]
    pub fn lasting(mut self, terms: SessionTerms) -> Self {
        self.terms = terms;
        self
    }

    /// The sessions that have ended, as far as this instance knows.
    pub fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    /// Starts a session of an account whose password was checked.
    pub async fn start(&self, account: &Account, device: Option<DeviceName>) -> Result<SessionTokens, AppError> {
        let (ids, now) = ((SessionId(self.ids.next()), account.user.id), self.clock.now());
        let secrets = (self.ids.secret(), Salt(self.ids.secret().0));
        let (record, refresh) = SessionRecord::begin(ids, device, secrets, now, &self.terms);
        let session = record.session.clone();
        self.note_ends(&self.sessions.start(record, account).await?, now);
        let caller = Caller { user: account.user.id, role: account.user.role };
        Ok(SessionTokens { access: self.access_token(caller, session.id, now), refresh, session })
    }

    /// Exchanges a refresh token for the next tokens of its session. If the answer was lost, it gives the same refresh token again.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<SessionTokens, AppError> {
        let now = self.clock.now();
        let salt = Salt(self.ids.secret().0);
        let next = NextToken { salt, token: token.child(salt).shown().token };
        let (session, salt) = match self.sessions.refresh(token.shown(), next, now, &self.terms).await? {
            Refreshed::Rotated(session) => (session, salt),
            Refreshed::Again(session, salt) => (session, salt),
            Refreshed::Replayed(session) => {
                warn!(session_id = %session.id, user_id = %session.user, "an old refresh token was shown; session ended");
                self.note_end(session.id, now);
                return Err(AppError::RefreshTokenInvalid);
            }
            Refreshed::Refused => return Err(AppError::RefreshTokenInvalid),
        };
        let Some(account) = self.users.find(session.user).await? else { return Err(AppError::RefreshTokenInvalid) };
        let caller = Caller { user: session.user, role: account.user.role };
        let access = self.access_token(caller, session.id, now);
        Ok(SessionTokens { access, refresh: token.child(salt), session })
    }

    /// Ends a session of a user.
    pub async fn end(&self, user: UserId, session: SessionId) -> Result<(), AppError> {
        let now = self.clock.now();
        if !self.sessions.end(user, session, now).await? {
            return Err(AppError::not_found("session", session));
        }
        self.note_end(session, now);
        Ok(())
    }

    /// Ends all sessions of a user. Returns how many.
    pub async fn end_all(&self, user: UserId) -> Result<usize, AppError> {
        let now = self.clock.now();
        let ended = self.sessions.end_all(user, now).await?;
        self.note_ends(&ended, now);
        Ok(ended.len())
    }

    /// Refuses the access tokens of sessions that a change of the account has ended.
    pub(crate) fn note_ends(&self, ended: &[SessionId], ended_at: Timestamp) {
        for session in ended {
            self.note_end(*session, ended_at);
        }
    }

    /// The live sessions of a user, the last refreshed first.
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>, AppError> {
        Ok(self.sessions.live(user, self.clock.now()).await?)
    }

    /// Learns which sessions other instances have ended. Until an instance has learned it, it takes their access tokens.
    pub async fn follow_ended(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let known = *self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.unwrap_or(now - ACCESS_TOKEN_LIFETIME_MAX) - FOLLOW_OVERLAP;
        let mut after = EndedSession { ended_at: since, id: SessionId(Uuid::nil()) };
        loop {
            let page = self.sessions.ended_after(after, FOLLOWED_AT_ONCE).await?;
            for ended in &page {
                self.note_end(ended.id, ended.ended_at);
            }
            match page.last() {
                Some(last) if page.len() == FOLLOWED_AT_ONCE as usize => after = *last,
                _ => break,
            }
        }
        self.ended.forget(now);
        *self.followed.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    /// Ends sessions that have expired, and deletes those that ended long ago. The next step goes on.
    pub async fn sweep(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let expired = self.sessions.expire(now, SWEPT_AT_ONCE).await?;
        let deleted = self.sessions.forget(now - ENDED_SESSIONS_KEPT, SWEPT_AT_ONCE).await?;
        if expired + deleted > 0 {
            info!(expired, deleted, "ended expired sessions; deleted sessions that ended before the retention");
        }
        Ok(())
    }

    /// Refuses the access tokens of a session until they have expired, whatever lifetime they were issued with.
    fn note_end(&self, session: SessionId, ended_at: Timestamp) {
        self.ended.add(session, ended_at + ACCESS_TOKEN_LIFETIME_MAX + FOLLOW_OVERLAP);
    }

    fn access_token(&self, caller: Caller, session: SessionId, now: Timestamp) -> AccessToken {
        let expires_at = now + self.terms.access_token;
        self.access_tokens.issue(&AccessTokenPayload { caller, session: Some(session), expires_at }, now)
    }
}

impl From<AccountChanged> for AppError {
    fn from(_: AccountChanged) -> Self {
        Self::LogInFailed
    }
}
