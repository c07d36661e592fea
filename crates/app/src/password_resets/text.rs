//! What mails say.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encore_domain::identity::Email;
use encore_domain::identity::password_reset::RESET_LIFETIME;
use encore_domain::identity::session::{SECRET_BYTES, Secret};
use encore_domain::mail::Mail;

/// What each token begins with, so that tools that look for secrets know it.
const PREFIX: &str = "encore_pr_";

/// The mail with which a user sets a new password.
pub(super) fn reset_mail(to: Email, secret: &Secret, link: Option<&str>) -> Mail {
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret.0));
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
    // One byte more than the secret, which a longer text would fill.
    let mut bytes = [0; SECRET_BYTES + 1];
    let length = URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(PREFIX)?, &mut bytes).ok()?;
    let (secret, _) = bytes.split_first_chunk()?;
    (length == SECRET_BYTES).then_some(Secret(*secret))
}

#[cfg(test)]
mod tests {
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
