//! The keys of tokens.

use std::path::PathBuf;

use clap::Args;
use encore_credentials::Keyring;

use super::check::Check;
use crate::system::throwaway_secret;

/// What tokens are signed with.
#[derive(Args, Clone)]
pub struct TokenArgs {
    /// The signing keys, separated by commas or line breaks: secrets as `id:base64` of at least 32 bytes each, and keys of access tokens
    /// as `encore make-token-key` prints them. The first secret signs; all verify. Required with a database. Without a database, a
    /// temporary secret is generated.
    #[arg(long, env = "ENCORE_TOKEN_KEYS", hide_env_values = true)]
    pub token_keys: Option<String>,
    /// A file with the value of `ENCORE_TOKEN_KEYS`, which is read again every few seconds.
    #[arg(long, env = "ENCORE_TOKEN_KEYS_FILE")]
    pub token_keys_file: Option<String>,
}

impl TokenArgs {
    /// The file that is read again, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.token_keys_file.as_ref().map(PathBuf::from)
    }

    /// Checks the arguments. Keys are needed unless all data is in the memory of this process.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool) -> Option<Keyring> {
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
