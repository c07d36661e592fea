#![doc = include_str!("../README.md")]

mod access_keys;
mod access_tokens;
mod keyring;
mod keyring_error;
mod lane_grants;
mod page_tokens;
mod passwords;
mod queue_tokens;
mod seal;
mod secret_key;
mod secret_seals;
mod verified_tokens;

pub use access_keys::ACCESS_TOKEN_MAX_LIFETIME;
pub use access_tokens::SignedAccessTokens;
pub use keyring::{Keyring, ed25519_key_text};
pub use keyring_error::{ED25519_KEY_LEN, KEYS_MAX, KeyringError, SECRET_MIN_LEN};
pub use lane_grants::SignedLaneGrants;
pub use page_tokens::SignedPageTokens;
pub use passwords::{Argon2Passwords, WAITING_PER_CORE_MAX};
pub use queue_tokens::SignedQueueTokens;
pub use secret_seals::EncryptedSecrets;
