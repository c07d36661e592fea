//! New passwords for those who have forgotten theirs, by mail.
//!
//! A request is noted and answered at once, so its answer and its time say nothing about the address. A worker looks the address
//! up and sends the mail. Requests are kept in memory: one that is lost with its instance is made again by its user.

mod text;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::identity::password_reset::{NoSuchReset, PasswordReset, RESET_LIFETIME};
use encore_domain::identity::{Email, Password};
use encore_domain::ports::{Clock, Ids, Mailer, PasswordResets, Users};
use encore_domain::time::Timestamp;
use futures::future::join_all;
use moka::sync::Cache;
use tokio::time::timeout;
use tracing::{info, warn};

use self::text::{read_token, reset_mail};
use crate::error::AppError;
use crate::identity::IdentityUseCases;
use crate::sessions::SessionUseCases;

/// How many requests wait for their mails. More are refused, whatever their addresses.
const WAITING_MAX: usize = 1_000;
/// How many mails one step sends, at the same time.
const SENT_AT_ONCE: usize = 10;
/// How long sending a mail may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How often a mail is tried.
const TRIES_MAX: u32 = 5;
/// The pause after the first try. Each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// How long requests are counted.
const COUNTED_FOR: Duration = Duration::from_mins(15);
/// How many mails an address gets in that time. Further requests are answered alike and send none.
const PER_EMAIL_MAX: u32 = 3;
/// How many addresses are counted. Each takes about 100 bytes.
const COUNTED_MAX: u64 = 100_000;
/// How many expired resets one step deletes.
const FORGOTTEN_AT_ONCE: u32 = 1_000;

/// What [`PasswordResetUseCases`] is made of.
#[derive(Clone)]
pub struct PasswordResetParts {
    /// Hashes passwords in turns.
    pub identity: IdentityUseCases,
    /// Ends sessions.
    pub sessions: SessionUseCases,
    /// The users.
    pub users: Arc<dyn Users>,
    /// What passwords can be set with.
    pub resets: Arc<dyn PasswordResets>,
    /// Sends mails; none if this server sends none.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// What the link of a mail begins with; its end is the token. Without it a mail has the token alone.
    pub link: Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New secrets.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of forgotten passwords.
#[derive(Clone)]
pub struct PasswordResetUseCases {
    parts: PasswordResetParts,
    waiting: Arc<Mutex<VecDeque<Request>>>,
    of_email: Cache<Email, u32>,
}

struct Request {
    email: Email,
    tries: u32,
    not_before: Timestamp,
}

impl PasswordResetUseCases {
    /// The use cases over their ports.
    pub fn new(parts: PasswordResetParts) -> Self {
        Self {
            parts,
            waiting: Arc::default(),
            of_email: Cache::builder().max_capacity(COUNTED_MAX).time_to_live(COUNTED_FOR).build(),
        }
    }

    /// The same use cases over these.
    #[must_use]
    pub fn with_sessions(mut self, identity: IdentityUseCases, sessions: SessionUseCases) -> Self {
        self.parts = PasswordResetParts { identity, sessions, ..self.parts };
        self
    }

    /// The same use cases, whose mails link to a page that begins like this.
    #[must_use]
    pub fn linking(mut self, link: Option<String>) -> Self {
        self.parts.link = link;
        self
    }

    /// Notes that somebody wants a new password for an address. The answer is the same whether there is such a user.
    pub fn request(&self, email: Email) -> Result<(), AppError> {
        if self.parts.mailer.is_none() {
            return Err(AppError::MailOff);
        }
        if one_more(&self.of_email, email.clone()) > PER_EMAIL_MAX {
            return Ok(());
        }
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX {
            return Err(AppError::Overloaded);
        }
        waiting.push_back(Request { email, tries: 0, not_before: self.parts.clock.now() });
        Ok(())
    }

    /// Sets a new password with a token from a mail, and ends all sessions of its user.
    pub async fn set_password(&self, token: &str, password: &Password, from: Option<IpAddr>) -> Result<(), AppError> {
        let PasswordResetParts { identity, sessions, resets, clock, .. } = &self.parts;
        let digest = read_token(token).ok_or(AppError::ResetTokenInvalid)?.digest();
        // Before a password is hashed for nothing.
        let user = resets.find(digest, clock.now()).await?.ok_or(AppError::ResetTokenInvalid)?;
        let hash = identity.hash_in_turn(password, &user.to_string(), from).await?;
        let now = clock.now();
        let ended = resets.set_password(digest, hash, now).await?;
        sessions.note_ends(&ended, now);
        info!(user_id = %user, "password set by a reset; sessions ended");
        Ok(())
    }

    /// Sends the mails whose time has come. One that fails is tried again later.
    pub async fn send_waiting(&self) -> Result<(), AppError> {
        let now = self.parts.clock.now();
        let due: Vec<Request> = {
            let mut waiting = self.waiting();
            let (due, later) = waiting.drain(..).partition::<Vec<_>, _>(|request| request.not_before <= now);
            let mut due = VecDeque::from(due);
            let now_due = due.drain(..due.len().min(SENT_AT_ONCE)).collect();
            waiting.extend(due);
            waiting.extend(later);
            now_due
        };
        let sent = join_all(due.iter().map(|request| timeout(SEND_WITHIN, self.send(&request.email)))).await;
        for (request, sent) in due.into_iter().zip(sent) {
            if !matches!(sent, Ok(Ok(()))) {
                self.try_again(request);
            }
        }
        Ok(())
    }

    /// Deletes resets that have expired. The next step goes on.
    pub async fn sweep(&self) -> Result<(), AppError> {
        self.parts.resets.forget(self.parts.clock.now(), FORGOTTEN_AT_ONCE).await?;
        Ok(())
    }

    async fn send(&self, email: &Email) -> Result<(), AppError> {
        let PasswordResetParts { users, resets, mailer, link, clock, ids, .. } = &self.parts;
        let (Some(mailer), Some(account)) = (mailer, users.find_by_email(email).await?) else { return Ok(()) };
        // The fans of rehearsals have addresses that receive nothing.
        if !account.password_hash.is_of_a_password() {
            return Ok(());
        }
        let (secret, now, user) = (ids.secret(), clock.now(), account.user.id);
        let reset = PasswordReset { digest: secret.digest(), user, made_at: now, expires_at: now + RESET_LIFETIME };
        resets.add(reset).await?;
        mailer.send(&reset_mail(account.user.email, &secret, link.as_deref())).await?;
        info!(user_id = %user, "mail for a password reset sent");
        Ok(())
    }

    fn try_again(&self, request: Request) {
        let tries = request.tries + 1;
        let mut waiting = self.waiting();
        if tries >= TRIES_MAX || waiting.len() >= WAITING_MAX {
            warn!(tries, "a mail for a password reset was not sent; given up");
            return;
        }
        let not_before = self.parts.clock.now() + FIRST_PAUSE * 4_u32.pow(request.tries);
        warn!(tries, "a mail for a password reset was not sent; retrying");
        waiting.push_back(Request { tries, not_before, ..request });
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one more of a key. The count ends some time after the last one.
fn one_more<K: std::hash::Hash + Eq + Send + Sync + 'static>(counts: &Cache<K, u32>, key: K) -> u32 {
    let counted = counts.entry(key).and_upsert_with(|count| count.map_or(0, moka::Entry::into_value).saturating_add(1));
    counted.into_value()
}

impl From<NoSuchReset> for AppError {
    fn from(_: NoSuchReset) -> Self {
        Self::ResetTokenInvalid
    }
}
