//! `encore make-token-key`: a new key for `ENCORE_TOKEN_KEYS`.

use std::time::Duration;

use clap::Args;
use encore_credentials::ed25519_key_text;
use encore_domain::ports::Clock;

use crate::commands::CommandError;
use crate::output::print_line;
use crate::system::{SystemClock, throwaway_secret};

/// The arguments of `encore make-token-key`.
#[derive(Args)]
pub struct MakeTokenKeyArgs {
    /// The id of the key, which no other key may have: 1 to 32 of a-z, 0-9 and -.
    id: String,
    /// In how many seconds the key begins to sign (0 to 31536000). Until then every instance must have read it.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(0..=31_536_000))]
    signs_in_seconds: u32,
}

/// Prints a key of Ed25519 for access tokens, private part included.
pub fn run(args: &MakeTokenKeyArgs) -> Result<(), CommandError> {
    let signs_from = SystemClock::default().now() + Duration::from_secs(args.signs_in_seconds.into());
    let key = ed25519_key_text(&args.id, &throwaway_secret(), signs_from);
    Ok(print_line(key.map_err(|error| CommandError::Usage(error.to_string()))?)?)
}
