//! Signing up and logging in.

use std::sync::Arc;

use encore_domain::identity::{AccessToken, Account, Caller, DisplayName, Email, Password, Role, User};
use encore_domain::ids::UserId;
use encore_domain::ports::{AccessTokens, Clock, Ids, Passwords, Users};
use encore_domain::request::{Applied, RequestKey};

use crate::error::AppError;

/// Who signs up.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Must not be taken.
    pub email: Email,
    /// Kept as a hash only.
    pub password: Password,
    /// Shown to people.
    pub display_name: DisplayName,
    /// What the user may do.
    pub role: Role,
}

/// What [`IdentityUseCases`] is made of.
pub struct IdentityParts {
    /// The users.
    pub users: Arc<dyn Users>,
    /// Hashes passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Signs access tokens.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `IdentityService` and of `encore create-operator`.
#[derive(Clone)]
pub struct IdentityUseCases {
    users: Arc<dyn Users>,
    passwords: Arc<dyn Passwords>,
    access_tokens: Arc<dyn AccessTokens>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl IdentityUseCases {
    /// Puts the use cases on their ports.
    pub fn new(parts: IdentityParts) -> Self {
        let IdentityParts { users, passwords, access_tokens, clock, ids } = parts;
        Self { users, passwords, access_tokens, clock, ids }
    }

    /// Creates a user. The fingerprint of the request leaves the password out, since a fast hash of it must not be
    /// kept; a repeat is the same only if the password is.
    pub async fn sign_up(&self, sign_up: SignUp, request: Option<RequestKey>) -> Result<User, AppError> {
        let SignUp { email, password, display_name, role } = sign_up;
        let password_hash = self.passwords.hash(&password).await?;
        let id = UserId(self.ids.next());
        let user = User { id, email, display_name, role, created_at: self.clock.now() };
        match self.users.create(Account { user, password_hash }, request).await? {
            Applied::Now(account) => Ok(account.user),
            Applied::Before(account) => {
                let same = self.passwords.verify(&password, &account.password_hash).await?;
                if same { Ok(account.user) } else { Err(AppError::RequestReused) }
            }
        }
    }

    /// Issues an access token. An unknown address, or that of a user without a password, takes as long as a wrong password,
    /// so that they cannot be told apart.
    pub async fn log_in(&self, email: &Email, password: &Password) -> Result<(AccessToken, User), AppError> {
        let account = self.users.find_by_email(email).await?;
        let Some(account) = account.filter(|account| account.password_hash.is_of_a_password()) else {
            self.passwords.hash(password).await?;
            return Err(AppError::LogInFailed);
        };
        if !self.passwords.verify(password, &account.password_hash).await? {
            return Err(AppError::LogInFailed);
        }
        let caller = Caller { user: account.user.id, role: account.user.role };
        Ok((self.access_tokens.issue(caller, self.clock.now()), account.user))
    }

    /// The user who calls.
    pub async fn get_me(&self, caller: Caller) -> Result<User, AppError> {
        let account = self.users.find(caller.user).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", caller.user))
    }
}
