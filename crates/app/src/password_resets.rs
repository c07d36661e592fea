//! New passwords for those who have forgotten theirs, by mail.
//!
//! A request is noted and answered at once, so its answer and its time say nothing about the address. A worker looks the address
//! up and sends the mail.

mod text;

use std::net::IpAddr;
use std::sync::Arc;

use encore_domain::identity::password_reset::{NoSuchReset, PasswordReset, RESET_LIFETIME};
use encore_domain::identity::{Email, Password};
use encore_domain::ports::{Clock, Ids, Mailer, PasswordResets, Users};
use tracing::info;

use self::text::{read_token, reset_mail};
use crate::error::AppError;
use crate::identity::IdentityUseCases;
use crate::mail_queue::MailQueue;
use crate::sessions::SessionUseCases;

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
    mails: MailQueue<Email>,
}

impl PasswordResetUseCases {
    /// The use cases over their ports.
    pub fn new(parts: PasswordResetParts) -> Self {
        let mails = MailQueue::new("a password reset", parts.clock.clone());
        Self { parts, mails }
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
        self.mails.push(email.clone(), email)
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
        self.mails.send_due(|email| self.send(email)).await;
        Ok(())
    }

    /// Deletes resets that have expired. The next step goes on.
    pub async fn sweep(&self) -> Result<(), AppError> {
        self.parts.resets.forget(self.parts.clock.now(), FORGOTTEN_AT_ONCE).await?;
        Ok(())
    }

    async fn send(&self, email: Email) -> Result<(), AppError> {
        let PasswordResetParts { users, resets, mailer, link, clock, ids, .. } = &self.parts;
        let (Some(mailer), Some(account)) = (mailer, users.find_by_email(&email).await?) else { return Ok(()) };
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
}

impl From<NoSuchReset> for AppError {
    fn from(_: NoSuchReset) -> Self {
        Self::ResetTokenInvalid
    }
}
