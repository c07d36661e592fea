//! Sessions.

use std::time::Duration;

use clap::Args;
use encore_credentials::ACCESS_TOKEN_MAX_LIFETIME;
use encore_domain::identity::session::SessionTerms;

use super::check::Check;

/// The longest that anything of a session can be configured to live: a year.
const LONGEST_SECONDS: u32 = 31_536_000;

/// The longest lifetime of an access token that can be configured.
const LONGEST_ACCESS_TOKEN_SECONDS: u32 = 86_400;
const _: () = assert!(ACCESS_TOKEN_MAX_LIFETIME.as_secs() == LONGEST_ACCESS_TOKEN_SECONDS as u64);

/// How long sessions live.
#[derive(Args, Clone)]
pub struct SessionArgs {
    /// The lifetime of an access token in seconds (60 to 86400).
    #[arg(long, env = "ENCORE_ACCESS_TOKEN_SECONDS", default_value = "600")]
    pub access_token_seconds: String,
    /// How long a session lives after it was refreshed, in seconds (at least as long as an access token, to 31536000).
    #[arg(long, env = "ENCORE_SESSION_IDLE_SECONDS", default_value = "604800")]
    pub session_idle_seconds: String,
    /// How long a session lives at most, in seconds (at least as long as one that is not refreshed, to 31536000).
    #[arg(long, env = "ENCORE_SESSION_MAX_SECONDS", default_value = "7776000")]
    pub session_max_seconds: String,
}

impl SessionArgs {
    /// Checks the arguments.
    pub(super) fn read(&self, check: &mut Check) -> Option<SessionTerms> {
        let access_token =
            check.number("ENCORE_ACCESS_TOKEN_SECONDS", &self.access_token_seconds, 60..=LONGEST_ACCESS_TOKEN_SECONDS);
        let least = access_token.unwrap_or(60);
        let idle = check.number("ENCORE_SESSION_IDLE_SECONDS", &self.session_idle_seconds, least..=LONGEST_SECONDS);
        let least = idle.unwrap_or(least);
        let absolute = check.number("ENCORE_SESSION_MAX_SECONDS", &self.session_max_seconds, least..=LONGEST_SECONDS);
        let [access_token, idle, absolute] =
            [access_token?, idle?, absolute?].map(|seconds| Duration::from_secs(seconds.into()));
        Some(SessionTerms { access_token, idle, absolute })
    }
}
