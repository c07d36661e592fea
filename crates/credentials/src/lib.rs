#![doc = include_str!("../README.md")]

mod access_tokens;
mod keyring;
mod lane_grants;
mod page_tokens;
mod passwords;
mod queue_tokens;
mod seal;
mod secret_seals;

pub use access_tokens::SignedAccessTokens;
pub use keyring::{KEYS_MAX, Keyring, KeyringError, SECRET_MIN_LEN};
pub use lane_grants::SignedLaneGrants;
pub use page_tokens::SignedPageTokens;
pub use passwords::{Argon2Passwords, WAITING_PER_CORE_MAX};
pub use queue_tokens::SignedQueueTokens;
pub use secret_seals::EncryptedSecrets;
