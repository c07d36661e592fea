//! What this process does.

use clap::Args;

use super::check::Check;
use super::payments::Gateway;
use super::stores::Stores;
use crate::roles::Roles;

const NAME: &str = "ENCORE_ROLES";

/// What this process does.
#[derive(Args, Clone)]
pub struct RoleArgs {
    /// What this process does: one or more of `api` (serves calls), `worker` (sweeps, ticks, payments by card, the relay of events, audits)
    /// and `notifier` (mails about what happened, and webhooks), comma-separated. At least one process of each must run.
    #[arg(long, env = "ENCORE_ROLES", default_value = "api,worker,notifier")]
    pub roles: String,
}

impl RoleArgs {
    /// Checks the argument. A process without all roles needs others, and what it shares with them.
    pub(super) fn read(&self, check: &mut Check, stores: Option<&Stores>, gateway: Option<&Gateway>) -> Option<Roles> {
        let roles: Roles = check.read(NAME, self.roles.parse())?;
        if roles != Roles::ALL {
            if stores.is_some_and(|stores| !matches!(stores, Stores::Durable { redis: Some(_), .. })) {
                let why = "without all roles ENCORE_DATABASE_URL and ENCORE_REDIS_URL must be set";
                check.0.push(format!("{NAME}: {why}, because no other process sees what is in the memory of this one"));
            }
            if matches!(gateway, Some(Gateway::Sandbox)) {
                let why = "must have all roles with the sandbox gateway, which is in the memory of the process";
                check.0.push(format!("{NAME}: {why}"));
            }
        }
        Some(roles)
    }
}
