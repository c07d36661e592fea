//! Sign-up and log-in.

mod hashing_turns;
mod wrong_passwords;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::StaffCall;
use encore_domain::error::RequestError;
use encore_domain::identity::account_change::ProfileChange;
use encore_domain::identity::contact::Contact;
use encore_domain::identity::email_verification::VerificationPolicy;
use encore_domain::identity::session::DeviceName;
use encore_domain::identity::{Account, Caller, DisplayName, Email, Password, PasswordHash, Role, User};
use encore_domain::ids::{AuditEntryId, SessionId, UserId};
use encore_domain::ports::{Clock, EmailTaken, Ids, Passwords, Users};
use encore_domain::request::{Applied, RequestKey};
use futures::future::join;
use tokio::time::sleep;
use tracing::{Instrument, info};

use self::hashing_turns::{HashingTurns, TooManyWaiting, Turn};
use self::wrong_passwords::{MustWait, Try, WrongPasswords};
use crate::error::{AppError, LimitedLogIn, Violation};
use crate::sessions::{SessionTokens, SessionUseCases};

/// How long a sign-up takes that does not tell whether the address is taken: longer than a store needs to write a user, and to find
/// the address taken, which is faster.
const UNDISCLOSED_WITHIN: Duration = Duration::from_millis(100);

/// A user to create.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The e-mail address, which no other user may have.
    pub email: Email,
    /// The password. Only its hash is stored.
    pub password: Password,
    /// The name that is shown to people.
    pub display_name: DisplayName,
    /// The role, which decides which RPCs the user may call.
    pub role: Role,
    /// Whether who adds the user vouches for the address, so that nobody has to verify it.
    pub is_vouched_for: bool,
}

/// What came of a sign-up whose caller is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// There is a new user.
    Created,
    /// Another user has the address. Nothing changed.
    EmailTaken,
    /// The request was known, with this body or another. Nothing changed.
    Repeated,
}

/// What [`IdentityUseCases`] is made of.
pub struct IdentityParts {
    /// The users.
    pub users: Arc<dyn Users>,
    /// Hashes passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Starts sessions.
    pub sessions: SessionUseCases,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// How many passwords are hashed at once.
    pub hashes_at_once: usize,
}

/// The use cases of `IdentityService` and of `encore create-operator`.
#[derive(Clone)]
pub struct IdentityUseCases {
    users: Arc<dyn Users>,
    passwords: Arc<dyn Passwords>,
    sessions: SessionUseCases,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    turns: HashingTurns,
    wrong_passwords: WrongPasswords,
    verification: VerificationPolicy,
}

impl IdentityUseCases {
    /// The use cases over their ports.
    pub fn new(parts: IdentityParts) -> Self {
        let IdentityParts { users, passwords, sessions, clock, ids, hashes_at_once } = parts;
        let (turns, wrong_passwords) = (HashingTurns::new(hashes_at_once), WrongPasswords::new());
        let verification = VerificationPolicy::default();
        Self { users, passwords, sessions, clock, ids, turns, wrong_passwords, verification }
    }

    /// The same use cases under this policy.
    #[must_use]
    pub fn verifying_emails(mut self, policy: VerificationPolicy) -> Self {
        self.verification = policy;
        self
    }

    /// Whether addresses are verified before anybody logs in.
    pub fn verification(&self) -> VerificationPolicy {
        self.verification
    }

    /// The same use cases, which start sessions here.
    #[must_use]
    pub fn with_sessions(mut self, sessions: SessionUseCases) -> Self {
        self.sessions = sessions;
        self
    }

    /// Creates a user, and starts a session. A repeat starts another session.
    pub async fn sign_up(
        &self,
        sign_up: SignUp,
        device: Option<DeviceName>,
        request: Option<RequestKey>,
        from: Option<IpAddr>,
    ) -> Result<(SessionTokens, User), AppError> {
        let account = self.create(sign_up, request, from).await?;
        Ok((self.sessions.start(&account, device).await?, account.user))
    }

    /// Creates a user. The fingerprint of the request does not cover the password, because a fast hash of a password
    /// must not be stored. A repeated request is therefore accepted only if its password matches the stored hash. `from` is the
    /// address of the caller; callers take turns.
    pub async fn create(
        &self,
        sign_up: SignUp,
        request: Option<RequestKey>,
        from: Option<IpAddr>,
    ) -> Result<Account, AppError> {
        let _turn = self.turns.turn(from, sign_up.email.as_str()).await?;
        let account = self.new_account(&sign_up).await?;
        let password = sign_up.password;
        match self.users.create(account, request).await? {
            Applied::Now(account) => Ok(account),
            Applied::Before(account) => {
                // A user who was deleted has none.
                let has_one = account.password_hash.is_of_a_password();
                let same = has_one && self.passwords.verify(&password, &account.password_hash).await?;
                if same { Ok(account) } else { Err(AppError::RequestReused) }
            }
        }
    }

    /// Creates a user without telling the caller whether the address is taken: not by the answer, and not by its time. So a repeat is not
    /// checked either, and a request id that was used for another request is not told.
    pub(crate) async fn create_undisclosed(
        &self,
        sign_up: SignUp,
        request: Option<RequestKey>,
        from: Option<IpAddr>,
    ) -> Result<Creation, AppError> {
        let account = {
            let _turn = self.turns.turn(from, sign_up.email.as_str()).await?;
            self.new_account(&sign_up).await?
        };
        let (created, ()) = join(self.users.create(account, request), sleep(UNDISCLOSED_WITHIN)).await;
        match created {
            Ok(Applied::Now(_)) => Ok(Creation::Created),
            Ok(Applied::Before(_)) | Err(RequestError::Reused) => Ok(Creation::Repeated),
            Err(RequestError::Refused(EmailTaken)) => Ok(Creation::EmailTaken),
            Err(RequestError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    async fn new_account(&self, sign_up: &SignUp) -> Result<Account, AppError> {
        let SignUp { email, password, display_name, role, is_vouched_for } = sign_up;
        let password_hash = self.passwords.hash(password).await?;
        let created_at = self.clock.now();
        let user = User {
            id: UserId(self.ids.next()),
            email: email.clone(),
            display_name: display_name.clone(),
            contact: Contact::default(),
            role: *role,
            created_at,
            email_verified_at: is_vouched_for.then_some(created_at),
        };
        Ok(Account { user, password_hash })
    }

    /// Starts a session. An unknown address, and that of a user without a password, take as long as a wrong
    /// password, so that the response time does not reveal which addresses exist. Callers take turns. After a few wrong passwords
    /// for an account from one address, the next must wait. That the address is not verified is told to those alone who know the password.
    pub async fn log_in(
        &self,
        email: &Email,
        password: &Password,
        device: Option<DeviceName>,
        from: Option<IpAddr>,
    ) -> Result<(SessionTokens, User), AppError> {
        let try_ = self.begin_try(email, from).await?;
        // On a task of its own: a caller who goes away ends neither the turn while the hash is computed, nor the start of the session.
        let logging_in = tokio::spawn({
            let (this, email, password) = (self.clone(), email.clone(), password.clone());
            let log_in = async move {
                let account = this.finish_try(try_, &email, &password).await?;
                let is_verified = account.user.email_verified_at.is_some();
                if this.verification == VerificationPolicy::Required && !is_verified {
                    return Err(AppError::EmailNotVerified);
                }
                Ok((this.sessions.start(&account, device).await?, account.user))
            };
            log_in.in_current_span()
        });
        logging_in.await.map_err(|failed| AppError::Internal(failed.to_string()))?
    }

    /// Waits for a turn to check a password.
    async fn begin_try(&self, email: &Email, from: Option<IpAddr>) -> Result<(Turn, Try), AppError> {
        self.wrong_passwords.check(email, from, self.clock.now())?;
        let turn = self.turns.turn(from, email.as_str()).await?;
        Ok((turn, self.wrong_passwords.begin(email, from, self.clock.now())?))
    }

    /// Checks a password in its turn.
    async fn finish_try(
        &self,
        (turn, this_try): (Turn, Try),
        email: &Email,
        password: &Password,
    ) -> Result<Account, AppError> {
        let checked = self.check_password(email, password).await;
        drop(turn);
        match &checked {
            Ok(_) => this_try.right(),
            Err(AppError::LogInFailed) => this_try.wrong(self.clock.now()),
            Err(_) => {}
        }
        checked
    }

    /// The account of a caller who says the password again.
    async fn reauthenticate(
        &self,
        user: UserId,
        password: &Password,
        from: Option<IpAddr>,
    ) -> Result<Account, AppError> {
        let account = self.users.find(user).await?.ok_or_else(|| AppError::not_found("user", user))?;
        let email = account.user.email;
        let try_ = self.begin_try(&email, from).await?;
        self.finish_try(try_, &email, password).await
    }

    /// Replaces the caller's password, and ends all other sessions.
    pub async fn change_password(
        &self,
        caller: Caller,
        kept: Option<SessionId>,
        (old, new): (Password, Password),
        from: Option<IpAddr>,
    ) -> Result<(), AppError> {
        let account = self.reauthenticate(caller.user, &old, from).await?;
        let password_hash = self.hash_in_turn(&new, account.user.email.as_str(), from).await?;
        let now = self.clock.now();
        let ended = self.users.change_password(&account, password_hash, kept, now).await?;
        self.sessions.note_ends(&ended, now);
        Ok(())
    }

    /// Hashes a new password in its turn, for an account.
    pub(crate) async fn hash_in_turn(
        &self,
        password: &Password,
        account: &str,
        from: Option<IpAddr>,
    ) -> Result<PasswordHash, AppError> {
        let _turn = self.turns.turn(from, account).await?;
        Ok(self.passwords.hash(password).await?)
    }

    /// Changes what the caller says about the person.
    pub async fn update_me(&self, caller: Caller, change: ProfileChange) -> Result<User, AppError> {
        let changed = self.users.change_profile(caller.user, change).await?;
        changed.map(|account| account.user).ok_or_else(|| AppError::not_found("user", caller.user))
    }

    /// Removes the caller's personal data and ends all sessions. The id stays in the books.
    pub async fn delete_me(
        &self,
        caller: Caller,
        password: Password,
        gives_up_balances: bool,
        from: Option<IpAddr>,
    ) -> Result<(), AppError> {
        let account = self.reauthenticate(caller.user, &password, from).await?;
        let now = self.clock.now();
        let ended = self.users.delete(&account, gives_up_balances, now).await?;
        self.sessions.note_ends(&ended, now);
        Ok(())
    }

    /// Gives another user a role. Their sessions end, because their access tokens say the role that they had.
    pub async fn set_role(&self, call: StaffCall, user: UserId, role: Role) -> Result<User, AppError> {
        let caller = call.caller;
        if caller.user == user {
            return Err(AppError::Invalid(vec![Violation::new("user_id", "must be of another user than the caller")]));
        }
        let now = self.clock.now();
        let act = call.act(AuditEntryId(self.ids.next()), now, None);
        let ended = self.users.change_role(user, role, now, Some(act)).await?;
        self.sessions.note_ends(&ended.ok_or_else(|| AppError::not_found("user", user))?, now);
        info!(user_id = %user, by = %caller.user, ?role, "role set");
        let account = self.users.find(user).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", user))
    }

    async fn check_password(&self, email: &Email, password: &Password) -> Result<Account, AppError> {
        let account = self.users.find_by_email(email).await?;
        let Some(account) = account.filter(|account| account.password_hash.is_of_a_password()) else {
            self.passwords.hash(password).await?;
            return Err(AppError::LogInFailed);
        };
        let is_right = self.passwords.verify(password, &account.password_hash).await?;
        if is_right { Ok(account) } else { Err(AppError::LogInFailed) }
    }

    /// The calling user.
    pub async fn get_me(&self, caller: Caller) -> Result<User, AppError> {
        let account = self.users.find(caller.user).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", caller.user))
    }
}

impl From<TooManyWaiting> for AppError {
    fn from(_: TooManyWaiting) -> Self {
        Self::LogInLimited(LimitedLogIn::TooManyWaiting)
    }
}

impl From<MustWait> for AppError {
    fn from(MustWait(retry_after): MustWait) -> Self {
        Self::LogInLimited(LimitedLogIn::WrongPasswords { retry_after })
    }
}
