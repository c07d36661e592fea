use encore_domain::error::Unavailable;
use encore_domain::mail::Mail;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use thiserror::Error;

/// Who mails are from, such as `Encore <no-reply@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// The text is not an address with or without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an e-mail address, with or without a name, such as Encore <no-reply@example.com>")]
pub struct NotASender;

impl Sender {
    /// Reads a sender.
    pub fn parse(text: &str) -> Result<Self, NotASender> {
        text.parse().map(Self).map_err(|_| NotASender)
    }
}

/// The mail as a message of RFC 5322. An address that cannot be one is a defect: trying again does not help.
pub(crate) fn message(from: &Sender, mail: &Mail) -> Result<Message, Unavailable> {
    // The errors of lettre quote addresses.
    let defect = || Unavailable::defect("mail", "the mail cannot be written as a message");
    let to = mail.to.as_str().parse().map_err(|_| defect())?;
    Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.clone())
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|_| defect())
}
