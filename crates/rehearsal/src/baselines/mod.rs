//! What the same machine does without Encore, measured beside a scenario in the same run, so that the scenario's rates can
//! be read as shares of what was there to be had.
//!
//! The ceilings are the least that a call of Encore needs from a layer: an empty call of the transport, one script of
//! Redis, one durable commit of Postgres. `for-update` is what one would write instead of Encore: a transaction that locks
//! the rows it is about. No baseline is held back: connections are warm, statements prepared, round trips shared.

mod error;
mod postgres;
mod ratios;
mod redis;
mod transport;

use std::hash::{BuildHasher, RandomState};

pub use error::BaselineError;
pub use postgres::PostgresBaselines;
pub use ratios::with_ratios;
pub use redis::redis;
pub use transport::{HEALTH_CHECK, health_checks, transport};

/// The ceiling of the transport.
pub const TRANSPORT: &str = "transport";
/// The ceiling of Redis.
pub const REDIS: &str = "redis";
/// The ceiling of durable commits.
pub const COMMITS: &str = "commits";
/// Holding seats under row locks.
pub const FOR_UPDATE_HOLD: &str = "for-update hold";
/// Paying for a hold under row locks.
pub const FOR_UPDATE_PAY: &str = "for-update pay";
/// Everybody after the same seats, under row locks.
pub const FOR_UPDATE_CONTEND: &str = "for-update contend";

/// The phase of the closed loops, here and in the scenarios.
pub const SATURATED: &str = "saturated";
/// How the phases end in which a crowd comes in the same instant.
const AT_ONCE: &str = "at once";

/// The phase of a crowd of this size that comes in the same instant.
pub fn at_once(crowd: u64) -> String {
    format!("{crowd} {AT_ONCE}")
}

/// Sixteen hexadecimal digits that tell what this run leaves in a shared store from what others do.
fn random_digits() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}
