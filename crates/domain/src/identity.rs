//! Users, their roles, and the rules for e-mail addresses, names and passwords.

pub mod account_change;
pub mod contact;
pub mod email_verification;
pub mod password_reset;
pub mod session;

use std::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::identity::contact::Contact;
use crate::ids::{SessionId, UserId};
use crate::text::{normalized, words};
use crate::time::Timestamp;

/// The longest e-mail address that SMTP can carry (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const EMAIL_MAX_LEN: usize = 254;
/// The longest display name, in characters.
pub const DISPLAY_NAME_MAX_CHARS: usize = 80;
/// The shortest password (NIST SP 800-63B).
pub const PASSWORD_MIN_CHARS: usize = 8;
/// The longest password, in bytes. It bounds the time of hashing.
pub const PASSWORD_MAX_BYTES: usize = 256;

/// The domain of the addresses that stand for deleted users. The top-level domain `invalid` belongs to nobody (RFC 2606).
const DELETED_DOMAIN: &str = "deleted.invalid";

/// What a user may do. A user has one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Buys seats.
    Fan,
    /// Reads what fans and sales did, and explains it. Changes nothing.
    Support,
    /// Sells seats as a fan does, and refunds those of fans.
    BoxOffice,
    /// Sets up and runs sales, and may do all that the others may.
    Operator,
    /// Reads everything and changes nothing.
    Auditor,
    /// Lets fans in at the door.
    CheckIn,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Fan, Self::Support, Self::BoxOffice, Self::Operator, Self::Auditor, Self::CheckIn];

    /// The name, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fan => "fan",
            Self::Support => "support",
            Self::BoxOffice => "box_office",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::CheckIn => "check_in",
        }
    }

    /// The role of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
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
    /// Phone and postal address, if they were given.
    pub contact: Contact,
    /// Given at sign-up (fan), by `encore create-operator` or by an operator.
    pub role: Role,
    /// When they signed up.
    pub created_at: Timestamp,
    /// When they showed that they receive mails at the address; none until then.
    pub email_verified_at: Option<Timestamp>,
}

impl User {
    /// The address and the name of a user who has been deleted.
    pub fn without_person(id: UserId) -> (Email, DisplayName) {
        (Email(format!("{id}@{DELETED_DOMAIN}")), DisplayName("Deleted user".to_owned()))
    }
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

/// What a valid access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTokenPayload {
    /// Who calls.
    pub caller: Caller,
    /// The session that it was issued in. None for the fans of a rehearsal, who never log in.
    pub session: Option<SessionId>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// A signed token that proves for a short time who calls. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// What the client sends as `authorization: Bearer …`.
    pub token: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// An e-mail address in lower case. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text cannot be an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an e-mail address of at most 254 characters, such as fan@example.com")]
pub struct NotAnEmail;

/// Why nobody can sign up with a text as e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAnEmailToSignUp {
    /// It is none.
    #[error(transparent)]
    NotAnEmail(#[from] NotAnEmail),
    /// It could be the one that stands for a deleted user.
    #[error("must not be of the domain {DELETED_DOMAIN}, which stands for deleted users")]
    OfDeletedUsers,
}

impl Email {
    /// Parses an address that a user may have from now on: not one of those that stand for deleted users, which are stored.
    pub fn parse_to_sign_up(text: &str) -> Result<Self, NotAnEmailToSignUp> {
        let email = Self::parse(text)?;
        let is_of_deleted = email.0.rsplit_once('@').is_some_and(|(_, host)| host == DELETED_DOMAIN);
        if is_of_deleted { Err(NotAnEmailToSignUp::OfDeletedUsers) } else { Ok(email) }
    }

    /// Parses an address, [`normalized`] and in lower case: a dot-atom of RFC 5322 (3.2.3) and a host of at least two
    /// labels, both with the letters of RFC 6531. Only its form is checked, not whether it receives mail.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let address: String = normalized(text).ok_or(NotAnEmail)?.to_lowercase().nfc().collect();
        let (local, host) = address.split_once('@').ok_or(NotAnEmail)?;
        let is_local = local.len() <= 64 && local.split('.').all(is_atom);
        let is_host = host.contains('.') && host.split('.').all(is_host_label);
        if address.len() <= EMAIL_MAX_LEN && is_local && is_host { Ok(Self(address)) } else { Err(NotAnEmail) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One or more of the characters that need no quotes before the `@`.
fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_word_character(c) || "!#$%&'*+-/=?^_`{|}~".contains(c))
}

fn is_host_label(text: &str) -> bool {
    let inner = |c| is_word_character(c) || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A letter or a digit of any script, or a mark on a letter.
fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// A name for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// The text cannot be a display name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {DISPLAY_NAME_MAX_CHARS} characters without control, invisible or unassigned characters")]
pub struct NotADisplayName;

impl DisplayName {
    /// Reads a name, [`normalized`].
    pub fn parse(text: &str) -> Result<Self, NotADisplayName> {
        words(text, DISPLAY_NAME_MAX_CHARS).map(Self).ok_or(NotADisplayName)
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
    /// Reads a password in normalization form C (RFC 8265, 4.2): keyboards differ in how they write one letter. Nothing
    /// else is changed.
    pub fn parse(text: &str) -> Result<Self, NotAPassword> {
        let text: String = text.nfc().collect();
        let fits = text.chars().count() >= PASSWORD_MIN_CHARS && text.len() <= PASSWORD_MAX_BYTES;
        if fits { Ok(Self(text)) } else { Err(NotAPassword) }
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
        let texts = [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@b..c",
            "a b@c.d",
            "a@-b.c",
            "a@b@c.d",
            "a\n@b.c",
            "<a@b.c>",
            "A <a@b.c>",
            "a@b.c>",
            "a,b@c.d",
            "\"a\"@b.c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@[1.2.3.4]",
            "a@b_c.d",
            "a\u{200B}@b.c",
            "a@b\u{AD}.c",
            "\u{202E}a@b.c",
            "a@b.c.",
            "a\u{200D}@b.c",
            "mailto:a@b.c",
        ];
        for text in texts {
            assert_eq!(Email::parse(text), Err(NotAnEmail), "{text:?}");
        }
        assert_eq!(Email::parse(&format!("a@{}.com", "b".repeat(260))), Err(NotAnEmail));
    }

    #[test]
    fn an_address_is_one_text_however_it_was_typed() {
        let typed = ["zo\u{EB}@example.com", "zoe\u{308}@example.com", " ZOE\u{308}@EXAMPLE.com\u{A0}"];
        for text in typed {
            assert_eq!(Email::parse(text).as_ref().map(Email::as_str), Ok("zo\u{EB}@example.com"), "{text:?}");
        }
        for text in ["o'hara+tickets@mail.example.co.uk", "x_y-z@a1.b-2.museum", "δοκιμή@παράδειγμα.ελ"]
        {
            assert_eq!(Email::parse(text).as_ref().map(Email::as_str), Ok(text));
        }
    }

    #[test]
    fn a_password_is_one_text_however_it_was_typed() {
        assert_eq!(Password::parse("ro\u{EB}motors"), Password::parse("roe\u{308}motors"));
        assert!(Password::parse("o\u{308}o\u{308}o\u{308}o\u{308}").is_err(), "four letters");
        assert_ne!(Password::parse(" spaces  count"), Password::parse("spaces count"));
    }

    #[test]
    fn nobody_signs_up_with_what_stands_for_a_deleted_user() {
        let (deleted, _) = User::without_person(UserId(uuid::Uuid::from_u128(7)));
        for text in [deleted.as_str(), "ada@deleted.invalid", " Ada@DELETED.Invalid"] {
            assert_eq!(Email::parse_to_sign_up(text), Err(NotAnEmailToSignUp::OfDeletedUsers), "{text:?}");
            assert!(Email::parse(text).is_ok(), "stored addresses are read: {text:?}");
        }
        assert_eq!(Email::parse_to_sign_up("ada"), Err(NotAnEmailToSignUp::NotAnEmail(NotAnEmail)));
        for text in ["deleted.invalid@example.com", "ada@undeleted.invalid", "ada@example.com"] {
            assert_eq!(Email::parse_to_sign_up(text).as_ref().map(Email::as_str), Ok(text));
        }
    }

    #[test]
    fn an_address_and_a_token_are_never_printed() {
        let email = Email::parse("ada@example.com").expect("an address");
        let token = AccessToken { token: "e30.e30.c2ln".into(), expires_at: Timestamp::UNIX_EPOCH };
        let deleted = User::without_person(UserId(uuid::Uuid::from_u128(7)));
        assert_eq!(Email::parse(deleted.0.as_str()), Ok(deleted.0));
        assert_eq!(DisplayName::parse(deleted.1.as_str()), Ok(deleted.1));
        let printed = format!("{email:?} {token:?}");
        assert!(!printed.contains("ada") && !printed.contains("c2ln"), "{printed}");
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
