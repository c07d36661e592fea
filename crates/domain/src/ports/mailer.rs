use async_trait::async_trait;

use crate::error::Unavailable;
use crate::mail::Mail;

/// Hands mails to what delivers them.
///
/// # Contract
/// - a mail that was accepted says what was given, to whom it was given
/// - an error means that it may or may not have been accepted; a defect means that this mail never will be
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a mail.
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable>;
}
