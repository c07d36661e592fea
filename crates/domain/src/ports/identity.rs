//! The ports of accounts and sessions.

mod access_tokens;
mod password_resets;
mod passwords;
mod sessions;
mod users;

pub use access_tokens::AccessTokens;
pub use password_resets::PasswordResets;
pub use passwords::{HashingError, Passwords};
pub use sessions::{AccountChanged, EndedSession, Refreshed, Sessions};
pub use users::{EmailTaken, Users};

#[cfg(feature = "mock")]
pub use self::{
    access_tokens::MockAccessTokens, password_resets::MockPasswordResets, passwords::MockPasswords,
    sessions::MockSessions, users::MockUsers,
};
