//! How often one network may sign up and log in.

use std::time::Duration;

use clap::Args;
use encore_app::caller_limits::CallerTerms;
use encore_domain::rate_limit::RateLimit;

use super::check::Check;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
/// A limit counts in milliseconds: more in a minute could not be told apart.
const COUNT_MAX: u32 = 60_000;

/// How often one network may sign up and log in.
#[derive(Args, Clone)]
pub struct CallerArgs {
    /// The most sign-ups of one address in an hour (0 to 60000; 0: no limit). Behind a proxy or a BFF it needs
    /// `ENCORE_TRUSTED_PROXIES`.
    #[arg(long, env = "ENCORE_SIGN_UPS_PER_HOUR", default_value = "0")]
    pub sign_ups_per_hour: String,
    /// The most log-ins of one address in a minute, with right and wrong passwords (0 to 60000; 0: no limit).
    #[arg(long, env = "ENCORE_LOG_INS_PER_MINUTE", default_value = "0")]
    pub log_ins_per_minute: String,
}

impl CallerArgs {
    /// Checks the arguments.
    pub(super) fn read(&self, check: &mut Check) -> Option<CallerTerms> {
        let sign_ups = check.number("ENCORE_SIGN_UPS_PER_HOUR", &self.sign_ups_per_hour, 0..=COUNT_MAX);
        let log_ins = check.number("ENCORE_LOG_INS_PER_MINUTE", &self.log_ins_per_minute, 0..=COUNT_MAX);
        let limit = |count: u32, period| (count > 0).then(|| RateLimit::per(count, period));
        Some(CallerTerms { sign_ups: limit(sign_ups?, HOUR), log_ins: limit(log_ins?, MINUTE) })
    }
}
