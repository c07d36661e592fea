//! What the same machine does without Encore, measured in turns with a scenario, so that the scenario's rates can be read as multiples of
//! what is possible.
//!
//! The ceilings are the least that a call of Encore needs from a layer: an empty call of the transport, one script of Redis, one durable
//! commit of Postgres. The others are what one would write instead of Encore: a transaction that locks the rows that it changes
//! (`for-update`), one that compares their versions and tries again (`optimistic`), and one under locks in Redis (`redis-lock`). No
//! baseline is held back: connections are warm, statements prepared, round trips shared.

mod error;
mod locks;
mod postgres;
mod redis;
mod transport;

use std::hash::{BuildHasher, RandomState};

pub use error::BaselineError;
pub use postgres::PostgresBaselines;
pub use redis::RedisBaseline;
pub use transport::{HEALTH_CHECK, TransportBaseline, health_checks};

use crate::report::model::Rate;

/// The phase of the closed loops, here and in the scenarios.
pub const SATURATED: &str = "saturated";

/// How a baseline keeps two fans from the same seats or money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Rows are locked with `SELECT … FOR UPDATE`. Who comes later waits.
    ForUpdate,
    /// Rows have versions, which are compared when they are written. Who is late tries again.
    Optimistic,
    /// Locks in Redis around a transaction that locks nothing itself. Who comes later is refused.
    RedisLock,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ForUpdate, Self::Optimistic, Self::RedisLock];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForUpdate => "for-update",
            Self::Optimistic => "optimistic",
            Self::RedisLock => "redis-lock",
        }
    }
}

/// Something to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The ceiling of the transport.
    Transport,
    /// The ceiling of Redis.
    Redis,
    /// The ceiling of durable commits.
    Commits,
    /// Holding seats.
    Hold(Way),
    /// Paying for a hold.
    Pay(Way),
    /// So many callers at once on the same two seats.
    Contend(Way, u64),
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> String {
        match self {
            Self::Transport => "transport".to_owned(),
            Self::Redis => "redis".to_owned(),
            Self::Commits => "commits".to_owned(),
            Self::Hold(way) => format!("{} hold", way.name()),
            Self::Pay(way) => format!("{} pay", way.name()),
            Self::Contend(way, callers) => format!("{} contend, {}", way.name(), at_once(callers)),
        }
    }

    /// The phase of its measurement.
    pub fn phase(self) -> String {
        match self {
            Self::Transport | Self::Redis | Self::Commits | Self::Hold(_) | Self::Pay(_) => SATURATED.to_owned(),
            Self::Contend(_, callers) => at_once(callers),
        }
    }

    /// What is called.
    pub fn call(self) -> &'static str {
        match self {
            Self::Transport => HEALTH_CHECK,
            Self::Redis => "EVALSHA",
            Self::Commits => "commit",
            Self::Hold(_) | Self::Contend(..) => "hold",
            Self::Pay(_) => "pay",
        }
    }

    /// By which rate a scenario is compared with it: a ceiling by answers, since refusals cross the same layers; what would be written
    /// instead of a hold or a payment by successes; and callers for the same seats by answers, since only one of them succeeds.
    pub fn rate(self) -> Rate {
        match self {
            Self::Transport | Self::Redis | Self::Commits | Self::Contend(..) => Rate::Answers,
            Self::Hold(_) | Self::Pay(_) => Rate::Successes,
        }
    }

    /// Whether a slice of it lasts a given time; otherwise it is over when all have been answered.
    pub fn is_timed(self) -> bool {
        !matches!(self, Self::Contend(..))
    }

    /// Whether it needs locks in Redis.
    pub fn is_under_redis_locks(self) -> bool {
        matches!(self, Self::Hold(Way::RedisLock) | Self::Pay(Way::RedisLock) | Self::Contend(Way::RedisLock, _))
    }

    /// Whether it needs a database.
    pub fn is_on_postgres(self) -> bool {
        !matches!(self, Self::Transport | Self::Redis)
    }
}

/// The phase in which so many call in the same instant.
pub fn at_once(callers: u64) -> String {
    format!("{callers} at once")
}

/// Sixteen random hexadecimal digits, which name what this run stores in a shared store.
fn random_digits() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_compared_with_like() {
        for ceiling in [Kind::Transport, Kind::Redis, Kind::Commits, Kind::Contend(Way::Optimistic, 7)] {
            assert_eq!(ceiling.rate(), Rate::Answers);
        }
        for instead in Way::ALL.into_iter().flat_map(|way| [Kind::Hold(way), Kind::Pay(way)]) {
            assert_eq!(instead.rate(), Rate::Successes);
        }
        assert_eq!(Kind::Contend(Way::ForUpdate, 200).phase(), at_once(200), "as many callers as the scenario has");
    }
}
