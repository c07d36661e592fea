//! Mails.

use std::path::PathBuf;

use clap::Args;
use encore_domain::identity::email_verification::VerificationPolicy;
use encore_mailer::{Sender, SmtpMailer};

use super::check::Check;

/// Where mails go without a database, if nothing else is configured.
const EMBEDDED_FOLDER: &str = ".state/mail";
/// Who they are from there. The top-level domain `invalid` belongs to nobody (RFC 2606).
const EMBEDDED_SENDER: &str = "Encore <no-reply@encore.invalid>";

/// How mails are sent.
#[derive(Args, Clone)]
pub struct MailArgs {
    /// The SMTP server, as `smtps://user:password@host` or `smtp://host:587?tls=required`.
    #[arg(long, env = "ENCORE_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// A folder into which mails are written as `.eml` files instead. Default: `.state/mail` without a database; with one,
    /// no mails are sent unless this or an SMTP server is set.
    #[arg(long, env = "ENCORE_MAIL_FOLDER")]
    pub mail_folder: Option<String>,
    /// Who mails are from, such as `Encore <no-reply@example.com>`. Required where mails are sent with a database.
    #[arg(long, env = "ENCORE_MAIL_FROM")]
    pub mail_from: Option<String>,
    /// What the link to set a new password begins with, such as `https://tickets.example.com/reset#`. The token follows. Default: mails
    /// have the token alone.
    #[arg(long, env = "ENCORE_RESET_LINK")]
    pub reset_link: Option<String>,
    /// Whether an e-mail address must be verified by mail before its user logs in: `off` or `required`. Required needs mails.
    #[arg(long, env = "ENCORE_EMAIL_VERIFICATION", default_value = "off")]
    pub email_verification: String,
    /// What the link to verify an e-mail address begins with, such as `https://tickets.example.com/verify#`. The token follows. Default:
    /// mails have the token alone.
    #[arg(long, env = "ENCORE_VERIFICATION_LINK")]
    pub verification_link: Option<String>,
    /// Whether fans are told by mail what happened to their reservations: `on` or `off`.
    #[arg(long, env = "ENCORE_NOTIFICATIONS", default_value = "on")]
    pub notifications: String,
}

/// The checked arguments. `Debug` leaves out the URL, which may contain a password.
#[derive(Clone)]
pub struct MailConfig {
    /// Where mails go; none if none are sent.
    pub route: Option<MailRoute>,
    /// What the link to set a new password begins with.
    pub reset_link: Option<String>,
    /// Whether addresses are verified before anybody logs in.
    pub verification: VerificationPolicy,
    /// What the link to verify an address begins with.
    pub verification_link: Option<String>,
    /// Whether fans are told what happened.
    pub notifications: bool,
}

/// Where mails go.
#[derive(Clone)]
pub enum MailRoute {
    /// To an SMTP server.
    Smtp {
        /// Its URL.
        url: String,
        /// Who they are from.
        from: Sender,
    },
    /// Into a folder.
    Folder {
        /// Its path.
        folder: PathBuf,
        /// Who they are from.
        from: Sender,
    },
}

impl std::fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailConfig").field("reset_link", &self.reset_link).finish_non_exhaustive()
    }
}

/// What a link begins with; the inner is none if there is none.
#[expect(clippy::option_option, reason = "the outer is validity, the inner is presence")]
fn link(check: &mut Check, variable: &str, link: Option<&str>) -> Option<Option<String>> {
    let checked = link.map(|link| check.url(variable, link, &["https://", "http://"]));
    checked.map_or(Some(None), |link| link.map(Some))
}

impl MailArgs {
    /// Checks the arguments.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool) -> Option<MailConfig> {
        let reset_link = link(check, "ENCORE_RESET_LINK", self.reset_link.as_deref());
        let verification_link = link(check, "ENCORE_VERIFICATION_LINK", self.verification_link.as_deref());
        let folder = self.mail_folder.clone().or_else(|| is_embedded.then(|| EMBEDDED_FOLDER.to_owned()));
        let route = match (&self.smtp_url, folder) {
            (Some(_), Some(_)) if self.mail_folder.is_some() => {
                check.0.push("ENCORE_MAIL_FOLDER: must not be set together with ENCORE_SMTP_URL".to_owned());
                None
            }
            (Some(url), _) => {
                let from = self.from(check, is_embedded);
                let from = from
                    .and_then(|from| check.read("ENCORE_SMTP_URL", SmtpMailer::new(url, from.clone()).map(|_| from)));
                from.map(|from| Some(MailRoute::Smtp { url: url.clone(), from }))
            }
            (None, Some(folder)) => {
                self.from(check, is_embedded).map(|from| Some(MailRoute::Folder { folder: folder.into(), from }))
            }
            (None, None) => Some(None),
        };
        let verification = match self.email_verification.as_str() {
            "off" => Ok(VerificationPolicy::Optional),
            "required" if matches!(route, Some(None)) => Err("required needs ENCORE_SMTP_URL or ENCORE_MAIL_FOLDER"),
            "required" => Ok(VerificationPolicy::Required),
            _ => Err("must be off or required"),
        };
        let verification = check.read("ENCORE_EMAIL_VERIFICATION", verification);
        let notifications = match self.notifications.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("must be on or off"),
        };
        let notifications = check.read("ENCORE_NOTIFICATIONS", notifications);
        Some(MailConfig {
            route: route?,
            reset_link: reset_link?,
            verification: verification?,
            verification_link: verification_link?,
            notifications: notifications?,
        })
    }

    fn from(&self, check: &mut Check, is_embedded: bool) -> Option<Sender> {
        let from = self.mail_from.as_deref().or_else(|| is_embedded.then_some(EMBEDDED_SENDER));
        let Some(from) = from else {
            check.0.push("ENCORE_MAIL_FROM: must be set, because mails are sent".to_owned());
            return None;
        };
        check.read("ENCORE_MAIL_FROM", Sender::parse(from))
    }
}
