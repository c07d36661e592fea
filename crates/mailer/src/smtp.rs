use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::mail::Mail;
use encore_domain::ports::Mailer;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use thiserror::Error;

use crate::message::{Sender, message};

/// The most connections to the server. A mail takes some 100 ms of one.
const CONNECTIONS_MAX: u32 = 4;
/// How long one command may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The text is not the URL of an SMTP server. It is not quoted, because it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a URL such as smtps://user:password@host or smtp://host:587?tls=required")]
pub struct NotAnSmtpUrl;

/// [`Mailer`] over SMTP.
pub struct SmtpMailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
}

impl SmtpMailer {
    /// Sends through the server at this URL. Connects with the first mail.
    pub fn new(url: &str, from: Sender) -> Result<Self, NotAnSmtpUrl> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| NotAnSmtpUrl)?;
        let pool = PoolConfig::new().max_size(CONNECTIONS_MAX);
        Ok(Self { server: server.timeout(Some(TIMEOUT)).pool_config(pool).build(), from })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable> {
        let message = message(&self.from, mail)?;
        let sent = self.server.send(message).await;
        sent.map(drop).map_err(|error| {
            // What the server says may quote the address.
            let code = error.status().map(|code| code.to_string()).unwrap_or_default();
            let what = format!("the SMTP server did not accept a mail: {code}");
            // 5xx: the server will refuse this mail always.
            if error.is_permanent() { Unavailable::defect("mail", what) } else { Unavailable::new("mail", what) }
        })
    }
}
