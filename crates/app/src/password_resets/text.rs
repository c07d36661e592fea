//! What mails say.

use encore_domain::identity::Email;
use encore_domain::identity::password_reset::RESET_LIFETIME;
use encore_domain::identity::session::Secret;
use encore_domain::mail::Mail;

use crate::mail_token::{mail_token, read_mail_token};

const PREFIX: &str = "encore_pr_";

/// The mail with which a user sets a new password.
pub(super) fn reset_mail(to: Email, secret: &Secret, link: Option<&str>) -> Mail {
    let token = mail_token(PREFIX, secret);
    let minutes = RESET_LIFETIME.as_secs() / 60;
    let how = match link {
        Some(link) => format!("Open this page to set a new password:\r\n\r\n{link}{token}"),
        None => format!("Set a new password with this token:\r\n\r\n{token}"),
    };
    let text = format!(
        "Somebody asked to set a new password for your account.\r\n\r\n{how}\r\n\r\nIt works once, for {minutes} minutes. \
         If you did not ask, ignore this mail: your password stays as it is.\r\n"
    );
    Mail { to, subject: "Set a new password".to_owned(), text }
}

/// The secret of a token.
pub(super) fn read_token(token: &str) -> Option<Secret> {
    read_mail_token(PREFIX, token)
}

#[cfg(test)]
mod tests {
    use encore_domain::identity::session::SECRET_BYTES;

    use super::*;

    #[test]
    fn a_mail_has_a_token_that_is_read_again() {
        let (to, secret) = (Email::parse("ada@example.com").expect("an address"), Secret([251; SECRET_BYTES]));
        let mail = reset_mail(to.clone(), &secret, Some("https://tickets.example.com/reset#"));
        let line = mail.text.lines().find_map(|line| line.strip_prefix("https://tickets.example.com/reset#"));
        let token = line.expect("a link").trim();
        assert_eq!(read_token(token), Some(secret));
        assert!(reset_mail(to, &secret, None).text.contains(&format!("\r\n{token}\r\n")));
        for other in ["", PREFIX, &token[PREFIX.len()..], &format!("{token}AA"), &token[..token.len() - 2]] {
            assert_eq!(read_token(other), None, "{other:?}");
        }
    }
}
