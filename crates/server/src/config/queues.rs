//! Queues: what they guard, their ceilings and their retention, and that of the requests of holds.

use std::time::Duration;

use clap::Args;
use encore_domain::queue::MAX_ACTIVE_LIMIT;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_grpc::{GUARDED_BY_DEFAULT, GuardedRpcs};

use super::check::Check;

/// The fastest rate that a queue can have, in admissions a second: the most admissions in the shortest period.
const RATE_CEILING_MAX: u32 = 10 * MAX_ACTIVE_LIMIT;

/// How queues work.
#[derive(Args, Clone)]
pub struct QueueArgs {
    /// The RPCs that require an active queue token, comma-separated. Any RPC for fans is allowed, except those of
    /// `QueueService`.
    #[arg(long, env = "ENCORE_GUARDED_RPCS", default_value_t = GUARDED_BY_DEFAULT.join(","))]
    pub guarded_rpcs: String,
    /// For how many days after a sale has closed its ended queue tokens and the entries of its draw are kept (1 to 3650).
    #[arg(long, env = "ENCORE_QUEUE_RETENTION_DAYS", default_value = "30")]
    pub queue_retention_days: String,
    /// For how many days repeats of requests of holds are recognised (1 to 3650). Those that moved money are recognised for ever.
    #[arg(long, env = "ENCORE_REQUEST_RETENTION_DAYS", default_value = "30")]
    pub request_retention_days: String,
    /// The highest admission rate, per second, that an operator may set without an override (1 to 1000000). Default: no
    /// ceiling.
    #[arg(long, env = "ENCORE_QUEUE_RATE_CEILING")]
    pub queue_rate_ceiling: Option<String>,
    /// The highest `max_active` that an operator may set without an override (1 to 100000). Default: no ceiling.
    #[arg(long, env = "ENCORE_QUEUE_MAX_ACTIVE_CEILING")]
    pub queue_max_active_ceiling: Option<String>,
}

/// The checked arguments.
pub(super) struct Queues {
    pub(super) guarded: GuardedRpcs,
    pub(super) retention: Duration,
    pub(super) request_retention: Duration,
    pub(super) ceilings: QueueCeilings,
}

impl QueueArgs {
    /// Checks the arguments.
    pub(super) fn read(&self, check: &mut Check) -> Option<Queues> {
        let guarded = self.guarded(check);
        let days = check.number("ENCORE_QUEUE_RETENTION_DAYS", &self.queue_retention_days, 1..=3_650);
        let request_days = check.number("ENCORE_REQUEST_RETENTION_DAYS", &self.request_retention_days, 1..=3_650);
        let ceilings = self.ceilings(check);
        let of_days = |days: u32| Duration::from_hours(24 * u64::from(days));
        let (retention, request_retention) = (of_days(days?), of_days(request_days?));
        Some(Queues { guarded: guarded?, retention, request_retention, ceilings })
    }

    /// The ceilings of queues; none where a variable is not set. An invalid ceiling is recorded as a violation.
    fn ceilings(&self, check: &mut Check) -> QueueCeilings {
        let rate = self.queue_rate_ceiling.as_deref();
        let max_active = self.queue_max_active_ceiling.as_deref();
        QueueCeilings {
            rate_per_second: rate
                .and_then(|rate| check.number("ENCORE_QUEUE_RATE_CEILING", rate, 1..=RATE_CEILING_MAX)),
            max_active: max_active.and_then(|max_active| {
                check.number("ENCORE_QUEUE_MAX_ACTIVE_CEILING", max_active, 1..=MAX_ACTIVE_LIMIT)
            }),
        }
    }

    fn guarded(&self, check: &mut Check) -> Option<GuardedRpcs> {
        let names = self.guarded_rpcs.split(',').map(str::trim).filter(|name| !name.is_empty());
        match GuardedRpcs::parse(names) {
            Ok(guarded) => Some(guarded),
            Err(refused) => {
                check.0.extend(refused.iter().map(|error| format!("ENCORE_GUARDED_RPCS: {error}")));
                None
            }
        }
    }
}
