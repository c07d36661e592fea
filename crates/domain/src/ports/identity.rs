//! The ports of accounts and sessions.

mod access_tokens;
mod email_verifications;
mod password_resets;
mod passwords;
mod sessions;
mod users;

pub use access_tokens::AccessTokens;
pub use email_verifications::EmailVerifications;
pub use password_resets::PasswordResets;
pub use passwords::{HashingError, Passwords};
pub use sessions::{AccountChanged, EndedSession, Refreshed, Sessions};
pub use users::{EmailTaken, Users};

#[cfg(feature = "mock")]
pub use self::{
    access_tokens::MockAccessTokens, email_verifications::MockEmailVerifications, password_resets::MockPasswordResets,
    passwords::MockPasswords, sessions::MockSessions, users::MockUsers,
};
