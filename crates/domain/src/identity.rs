//! Users, their roles, and the rules for e-mail addresses, names and passwords.

use std::fmt;

use thiserror::Error;

use crate::ids::UserId;
use crate::time::Timestamp;

/// The longest e-mail address that SMTP can carry (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const EMAIL_MAX_LEN: usize = 254;
/// The longest display name, in characters.
pub const DISPLAY_NAME_MAX_CHARS: usize = 80;
/// The shortest password (NIST SP 800-63B).
pub const PASSWORD_MIN_CHARS: usize = 8;
/// The longest password, in bytes. It bounds the time of hashing.
pub const PASSWORD_MAX_BYTES: usize = 256;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Buys seats.
    Fan,
    /// Runs sales through `AdminService`; may also buy.
    Operator,
}

/// A person who has signed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Made at sign-up.
    pub id: UserId,
    /// Unique, compared in lower case.
    pub email: Email,
    /// Shown to people.
    pub display_name: DisplayName,
    /// Given at sign-up (fan) or by `encore create-operator`.
    pub role: Role,
    /// When they signed up.
    pub created_at: Timestamp,
}

/// A user with the password hash, which never leaves the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The public part.
    pub user: User,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
}

/// The caller, from the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// Their role when the token was issued.
    pub role: Role,
}

/// A signed token that proves for a short time who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// What the client sends as `authorization: Bearer …`.
    pub token: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// An e-mail address in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text cannot be an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an e-mail address of at most 254 characters, such as fan@example.com")]
pub struct NotAnEmail;

impl Email {
    /// Parses an address and converts it to lower case. Only its form is checked, not whether it receives mail.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let (local, host) = text.rsplit_once('@').ok_or(NotAnEmail)?;
        let shaped = (1..=64).contains(&local.len())
            && !local.contains('@')
            && host.split('.').count() >= 2
            && host.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        let plain = text.len() <= EMAIL_MAX_LEN && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if shaped && plain { Ok(Self(text.to_lowercase())) } else { Err(NotAnEmail) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// The text cannot be a display name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 80 characters without control characters")]
pub struct NotADisplayName;

impl DisplayName {
    /// Reads a name; spaces around it are dropped.
    pub fn parse(text: &str) -> Result<Self, NotADisplayName> {
        let name = text.trim();
        let fits = (1..=DISPLAY_NAME_MAX_CHARS).contains(&name.chars().count());
        if fits && !name.chars().any(char::is_control) { Ok(Self(name.to_owned())) } else { Err(NotADisplayName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password as the fan typed it. It is never logged and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// The text is too short or too long for a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be at least 8 characters and at most 256 bytes")]
pub struct NotAPassword;

impl Password {
    /// Reads a password.
    pub fn parse(text: &str) -> Result<Self, NotAPassword> {
        let fits = text.chars().count() >= PASSWORD_MIN_CHARS && text.len() <= PASSWORD_MAX_BYTES;
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAPassword) }
    }

    /// The secret itself, for the hasher only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password hash in the PHC string format, which contains its algorithm, parameters and salt.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// The hash of no password at all: its user cannot log in.
    pub fn of_nothing() -> Self {
        Self("!".to_owned())
    }

    /// Whether any password can verify.
    pub fn is_of_a_password(&self) -> bool {
        *self != Self::of_nothing()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_folded_to_lower_case() {
        assert_eq!(Email::parse("Ada.L@Example.COM").map(|e| e.as_str().to_owned()), Ok("ada.l@example.com".into()));
    }

    #[test]
    fn what_is_not_an_email_is_refused() {
        for text in ["", "@", "a@", "@b.c", "a@b", "a@b..c", "a b@c.d", "a@-b.c", "a@b@c.d", "a\n@b.c"] {
            assert_eq!(Email::parse(text), Err(NotAnEmail), "{text:?}");
        }
        assert_eq!(Email::parse(&format!("a@{}.com", "b".repeat(260))), Err(NotAnEmail));
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::parse("correct horse").expect("long enough");
        assert!(!format!("{password:?}").contains("horse"));
    }

    #[test]
    fn a_password_is_counted_in_characters_and_bounded_in_bytes() {
        assert!(Password::parse("1234567").is_err());
        assert!(Password::parse("пароль12").is_ok());
        assert!(Password::parse(&"x".repeat(257)).is_err());
    }
}
