//! Verifying e-mail addresses by mail, and sign-ups that wait for it.
//!
//! A request is noted and answered at once, so its answer and its time say nothing about the address. A worker looks the address
//! up and sends the mail.

mod text;

use std::net::IpAddr;
use std::sync::Arc;

use encore_domain::identity::Email;
use encore_domain::identity::email_verification::{EmailVerification, NoSuchVerification, VERIFICATION_LIFETIME};
use encore_domain::ports::{Clock, EmailVerifications, Ids, Mailer, Users};
use encore_domain::request::RequestKey;
use tracing::{info, warn};

use self::text::{read_token, taken_mail, verification_mail};
use crate::error::AppError;
use crate::identity::{Creation, IdentityUseCases, SignUp};
use crate::mail_queue::MailQueue;

/// How many expired verifications one step deletes.
const FORGOTTEN_AT_ONCE: u32 = 1_000;

/// What [`EmailVerificationUseCases`] is made of.
#[derive(Clone)]
pub struct EmailVerificationParts {
    /// Creates users.
    pub identity: IdentityUseCases,
    /// The users.
    pub users: Arc<dyn Users>,
    /// What addresses can be verified with.
    pub verifications: Arc<dyn EmailVerifications>,
    /// Sends mails; none if this server sends none.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// What the link of a mail begins with; its end is the token. Without it a mail has the token alone.
    pub link: Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New secrets.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of verified addresses.
#[derive(Clone)]
pub struct EmailVerificationUseCases {
    parts: EmailVerificationParts,
    mails: MailQueue<Asked>,
}

/// A mail that was asked for.
#[derive(Clone)]
enum Asked {
    /// With a token, unless the address is verified or nobody's.
    Verification(Email),
    /// Somebody signed up with an address that has an account.
    Taken(Email),
}

impl EmailVerificationUseCases {
    /// The use cases over their ports.
    pub fn new(parts: EmailVerificationParts) -> Self {
        let mails = MailQueue::new("an e-mail verification", parts.clock.clone());
        Self { parts, mails }
    }

    /// The same use cases, which create users here.
    #[must_use]
    pub fn with_identity(mut self, identity: IdentityUseCases) -> Self {
        self.parts.identity = identity;
        self
    }

    /// The same use cases, whose mails link to a page that begins like this.
    #[must_use]
    pub fn linking(mut self, link: Option<String>) -> Self {
        self.parts.link = link;
        self
    }

    /// Creates a user who logs in once the address is verified. What the caller learns is the same if the address is taken: what there is
    /// to say about it goes to the address.
    pub async fn sign_up(
        &self,
        sign_up: SignUp,
        request: Option<RequestKey>,
        from: Option<IpAddr>,
    ) -> Result<(), AppError> {
        self.check_mails()?;
        if !self.mails.has_room() {
            return Err(AppError::Overloaded);
        }
        let email = sign_up.email.clone();
        let pushed = match self.parts.identity.create_undisclosed(sign_up, request, from).await? {
            Creation::Created => self.mails.push(email.clone(), Asked::Verification(email)),
            Creation::EmailTaken => self.mails.push(email.clone(), Asked::Taken(email)),
            Creation::Repeated => Ok(()),
        };
        if pushed.is_err() {
            warn!("too many mails wait; a user who signed up gets none and has to ask for it");
        }
        Ok(())
    }

    /// Notes that somebody wants to verify an address. The answer is the same whether there is such a user.
    pub fn request(&self, email: Email) -> Result<(), AppError> {
        self.check_mails()?;
        self.mails.push(email.clone(), Asked::Verification(email))
    }

    /// Verifies an address with a token from a mail.
    pub async fn verify(&self, token: &str) -> Result<(), AppError> {
        let digest = read_token(token).ok_or(AppError::VerificationTokenInvalid)?.digest();
        let user = self.parts.verifications.verify(digest, self.parts.clock.now()).await?;
        info!(user_id = %user, "e-mail address verified");
        Ok(())
    }

    /// Sends the mails whose time has come. One that fails is tried again later.
    pub async fn send_waiting(&self) -> Result<(), AppError> {
        self.mails.send_due(|asked| self.send(asked)).await;
        Ok(())
    }

    /// Deletes verifications that have expired. The next step goes on.
    pub async fn sweep(&self) -> Result<(), AppError> {
        self.parts.verifications.forget(self.parts.clock.now(), FORGOTTEN_AT_ONCE).await?;
        Ok(())
    }

    fn check_mails(&self) -> Result<(), AppError> {
        if self.parts.mailer.is_some() { Ok(()) } else { Err(AppError::MailOff) }
    }

    async fn send(&self, asked: Asked) -> Result<(), AppError> {
        let EmailVerificationParts { users, verifications, mailer, link, clock, ids, .. } = &self.parts;
        let (Asked::Verification(email) | Asked::Taken(email)) = &asked;
        let (Some(mailer), Some(account)) = (mailer, users.find_by_email(email).await?) else { return Ok(()) };
        // The fans of rehearsals have addresses that receive nothing.
        if !account.password_hash.is_of_a_password() {
            return Ok(());
        }
        let user = account.user.id;
        match asked {
            Asked::Taken(_) => mailer.send(&taken_mail(account.user.email)).await?,
            Asked::Verification(_) if account.user.email_verified_at.is_some() => return Ok(()),
            Asked::Verification(_) => {
                let (secret, now) = (ids.secret(), clock.now());
                let expires_at = now + VERIFICATION_LIFETIME;
                verifications
                    .add(EmailVerification { digest: secret.digest(), user, made_at: now, expires_at })
                    .await?;
                mailer.send(&verification_mail(account.user.email, &secret, link.as_deref())).await?;
            }
        }
        info!(user_id = %user, "mail about the e-mail address sent");
        Ok(())
    }
}

impl From<NoSuchVerification> for AppError {
    fn from(_: NoSuchVerification) -> Self {
        Self::VerificationTokenInvalid
    }
}
