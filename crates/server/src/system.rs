//! The clock and the ids of the machine: the only places where time and randomness come from.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;
use encore_credentials::SECRET_MIN_LEN;
use encore_domain::ports::{Clock, Ids, Secrets};
use encore_domain::queue::DrawKey;
use encore_domain::time::Timestamp;
use uuid::Uuid;

/// The machine's clock, in whole milliseconds. When the machine's clock is set back, it stands still until caught up.
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

/// UUIDs of version 7: ordered by the time of their making.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7Ids;

impl Ids for UuidV7Ids {
    #[expect(clippy::disallowed_methods, reason = "this is the port's adapter")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSecrets;

impl Secrets for SystemSecrets {
    fn draw_key(&self) -> DrawKey {
        DrawKey(random_bytes())
    }
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
        assert_ne!(SystemSecrets.draw_key(), SystemSecrets.draw_key());
    }
}
