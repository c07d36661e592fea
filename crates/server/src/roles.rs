//! What a process does: all of it, or a part that others complete.

use std::fmt;
use std::str::FromStr;

use metrics::gauge;
use thiserror::Error;

/// What a process does. Of each role at least one process must run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It serves calls.
    pub api: bool,
    /// It ends what is due, admits fans, drives payments, publishes events, repairs and audits.
    pub worker: bool,
    /// It sends mails about what happened, and webhooks.
    pub notifier: bool,
}

/// Not a list of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be one or more of api, worker and notifier, comma-separated, each once")]
pub struct NoSuchRole;

impl Roles {
    /// Every role.
    pub const ALL: Self = Self { api: true, worker: true, notifier: true };

    /// The name of each role, and whether this process has it.
    pub fn each(self) -> [(&'static str, bool); 3] {
        [("api", self.api), ("worker", self.worker), ("notifier", self.notifier)]
    }

    /// Says in the metrics which roles this process has.
    pub(crate) fn record(self) {
        for (role, plays) in self.each() {
            gauge!("encore_role", "role" => role).set(if plays { 1.0 } else { 0.0 });
        }
    }
}

impl FromStr for Roles {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        let mut roles = Self { api: false, worker: false, notifier: false };
        for name in text.split(',').map(str::trim) {
            let role = match name {
                "api" => &mut roles.api,
                "worker" => &mut roles.worker,
                "notifier" => &mut roles.notifier,
                _ => return Err(NoSuchRole),
            };
            if std::mem::replace(role, true) {
                return Err(NoSuchRole);
            }
        }
        Ok(roles)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.each().into_iter().filter_map(|(name, plays)| plays.then_some(name)).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_written() {
        assert_eq!("api,worker,notifier".parse(), Ok(Roles::ALL));
        let some = Roles { api: false, ..Roles::ALL };
        assert_eq!(" notifier, worker".parse(), Ok(some));
        assert_eq!(some.to_string(), "worker,notifier");
        for text in ["", "api,", "API", "api,api", "worker;api"] {
            assert_eq!(text.parse::<Roles>(), Err(NoSuchRole), "{text:?}");
        }
    }
}
