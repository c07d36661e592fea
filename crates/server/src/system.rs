//! The system's clock, ids and secrets: the only sources of time and randomness.

use std::num::NonZero;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::available_parallelism;

use chrono::Utc;
use encore_credentials::SECRET_MIN_LEN;
use encore_domain::identity::session::Secret;
use encore_domain::ports::{Clock, Ids};
use encore_domain::queue::DrawKey;
use encore_domain::time::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use uuid::Uuid;

/// The system's clock in milliseconds. It never goes back: if the system's clock is set back, it repeats its last value
/// until the system's clock has passed it.
#[derive(Debug, Default)]
pub struct SystemClock {
    latest_ms: AtomicI64,
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port's adapter")]
    fn now(&self) -> Timestamp {
        let now_ms = Utc::now().timestamp_millis();
        let latest_ms = self.latest_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms);
        Timestamp::from_timestamp_millis(latest_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// UUIDs of version 7, which are ordered by their time of creation.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the port's adapter")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn draw_key(&self) -> DrawKey {
        DrawKey(random_bytes())
    }

    fn secret(&self) -> Secret {
        Secret(random_bytes())
    }
}

/// The number of cores that the process may use.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// How many files the process may have open, after raising its limit as far as it may itself. None if there is no limit.
pub fn open_files_max() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    // What cannot be raised stays as it is.
    let current = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| limit.maximum);
    current.and_then(|files| usize::try_from(files).ok())
}

/// A secret that nobody has seen and that is forgotten with the process.
pub fn throwaway_secret() -> [u8; SECRET_MIN_LEN] {
    random_bytes()
}

#[expect(clippy::expect_used, reason = "a system without randomness can make no secret, and must not make a weak one")]
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_the_same() {
        assert_ne!(throwaway_secret(), throwaway_secret());
        assert_ne!(SystemIds.draw_key(), SystemIds.draw_key());
        assert_ne!(SystemIds.secret(), SystemIds.secret());
    }
}
