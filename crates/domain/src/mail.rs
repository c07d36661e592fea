//! Mails to users.

use std::fmt;

use crate::identity::Email;

/// A mail of plain text. `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: Email,
    /// The line that lists of mails show.
    pub subject: String,
    /// What it says.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(…)")
    }
}
