//! Access tokens.

use std::time::Duration;

use clap::Args;
use encore_credentials::Keyring;

use super::check::Check;
use crate::system::throwaway_secret;

/// How access tokens are made.
#[derive(Args, Clone)]
pub struct TokenArgs {
    /// The signing keys, as `id:base64` of at least 32 bytes each, comma-separated. The first key signs; all keys
    /// verify. Required with a database. Without a database, a temporary key is generated.
    #[arg(long, env = "ENCORE_TOKEN_KEYS", hide_env_values = true)]
    pub token_keys: Option<String>,
    /// A file with the value of `ENCORE_TOKEN_KEYS`.
    #[arg(long, env = "ENCORE_TOKEN_KEYS_FILE")]
    pub token_keys_file: Option<String>,
    /// The lifetime of an access token in seconds (60 to 86400).
    #[arg(long, env = "ENCORE_ACCESS_TOKEN_SECONDS", default_value = "3600")]
    pub access_token_seconds: String,
}

/// The checked arguments.
pub(super) struct Tokens {
    pub(super) keyring: Keyring,
    pub(super) access_lifetime: Duration,
}

impl TokenArgs {
    /// Checks the arguments. Keys are needed unless all data is in the memory of this process.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool) -> Option<Tokens> {
        let keyring = self.keyring(check, is_embedded);
        let lifetime = check.seconds("ENCORE_ACCESS_TOKEN_SECONDS", &self.access_token_seconds, 60..=86_400);
        Some(Tokens { keyring: keyring?, access_lifetime: lifetime? })
    }

    fn keyring(&self, check: &mut Check, is_embedded: bool) -> Option<Keyring> {
        let (keys, file) = (self.token_keys.as_deref(), self.token_keys_file.as_deref());
        match check.secret("ENCORE_TOKEN_KEYS", keys, file).ok()? {
            Some(keys) => check.read("ENCORE_TOKEN_KEYS", Keyring::parse(&keys)),
            None if !is_embedded => {
                check.0.push(
                    "ENCORE_TOKEN_KEYS: must be set with a database, because tokens outlive the process".to_owned(),
                );
                None
            }
            None => check.read("ENCORE_TOKEN_KEYS", Keyring::from_secret("throwaway", &throwaway_secret())),
        }
    }
}
