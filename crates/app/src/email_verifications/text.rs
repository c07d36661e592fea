//! What mails say.

use encore_domain::identity::Email;
use encore_domain::identity::email_verification::VERIFICATION_LIFETIME;
use encore_domain::identity::session::Secret;
use encore_domain::mail::Mail;

use crate::mail_token::{mail_token, read_mail_token};

const PREFIX: &str = "encore_ev_";

/// The mail with which a user verifies the address.
pub(super) fn verification_mail(to: Email, secret: &Secret, link: Option<&str>) -> Mail {
    let token = mail_token(PREFIX, secret);
    let hours = VERIFICATION_LIFETIME.as_secs() / 3_600;
    let how = match link {
        Some(link) => format!("Open this page to confirm that it is yours:\r\n\r\n{link}{token}"),
        None => format!("Confirm that it is yours with this token:\r\n\r\n{token}"),
    };
    let text = format!(
        "There is an account with this e-mail address.\r\n\r\n{how}\r\n\r\nIt works once, for {hours} hours. \
         If you did not sign up, ignore this mail.\r\n"
    );
    Mail { to, subject: "Confirm your e-mail address".to_owned(), text }
}

/// The mail to an address with which somebody signed up again.
pub(super) fn taken_mail(to: Email) -> Mail {
    let text = "Somebody signed up with this e-mail address, and there is an account with it already. Nothing was \
                changed.\r\n\r\nIf it was you, log in with the password of that account. If you do not know it, set a \
                new one by mail.\r\n\r\nIf it was not you, ignore this mail.\r\n";
    Mail { to, subject: "You have an account already".to_owned(), text: text.to_owned() }
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
        let mail = verification_mail(to.clone(), &secret, Some("https://tickets.example.com/verify#"));
        let line = mail.text.lines().find_map(|line| line.strip_prefix("https://tickets.example.com/verify#"));
        let token = line.expect("a link").trim();
        assert_eq!(read_token(token), Some(secret));
        assert!(verification_mail(to, &secret, None).text.contains(&format!("\r\n{token}\r\n")));
        for other in ["", PREFIX, &token[PREFIX.len()..], &token.replace("_ev_", "_pr_")] {
            assert_eq!(read_token(other), None, "{other:?}");
        }
    }
}
