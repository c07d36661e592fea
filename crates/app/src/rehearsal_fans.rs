//! Fans for a rehearsal: many at once, without the hashing that each sign-up costs.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::identity::contact::Contact;
use encore_domain::identity::{
    AccessToken, AccessTokenPayload, Account, Caller, DisplayName, Email, PasswordHash, Role, User,
};
use encore_domain::ids::UserId;
use encore_domain::ports::{AccessTokens, Clock, Ids, Users};

use crate::error::AppError;

/// How many are made in one call.
pub const REHEARSAL_FANS_MAX: u32 = 5_000;

/// How long their access tokens live: longer than a rehearsal, since they have no session to refresh them by.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// Makes fans who are logged in from the beginning and can never log in again.
#[derive(Clone)]
pub struct RehearsalFans {
    users: Arc<dyn Users>,
    access_tokens: Arc<dyn AccessTokens>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl RehearsalFans {
    /// Puts the use case on its ports.
    pub fn new(
        users: Arc<dyn Users>,
        access_tokens: Arc<dyn AccessTokens>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { users, access_tokens, clock, ids }
    }

    /// Makes this many fans, each with an access token.
    pub async fn add(&self, count: u32) -> Result<Vec<(UserId, AccessToken)>, AppError> {
        let now = self.clock.now();
        let accounts = (0..count).map(|_| self.account()).collect::<Result<Vec<Account>, AppError>>()?;
        let users: Vec<UserId> = accounts.iter().map(|account| account.user.id).collect();
        self.users.add_all(accounts).await?;
        let token = |user| {
            let caller = Caller { user, role: Role::Fan };
            let payload = AccessTokenPayload { caller, session: None, expires_at: now + TOKEN_LIFETIME };
            (user, self.access_tokens.issue(&payload, now))
        };
        Ok(users.into_iter().map(token).collect())
    }

    fn account(&self) -> Result<Account, AppError> {
        let id = UserId(self.ids.next());
        let internal = |rule: &dyn std::fmt::Display| AppError::Internal(rule.to_string());
        // The top-level domain `invalid` belongs to nobody (RFC 2606).
        let email = Email::parse(&format!("{id}@rehearsal.invalid")).map_err(|rule| internal(&rule))?;
        let display_name = DisplayName::parse("Rehearsal fan").map_err(|rule| internal(&rule))?;
        let user = User {
            id,
            email,
            display_name,
            contact: Contact::default(),
            role: Role::Fan,
            created_at: self.clock.now(),
            email_verified_at: None,
        };
        Ok(Account { user, password_hash: PasswordHash::of_nothing() })
    }
}
