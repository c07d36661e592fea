//! The clock and the ids of the machine: the only places where time and randomness come from.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;
use encore_domain::ports::{Clock, Ids, Secrets};
use encore_domain::queue::DrawKey;
use encore_domain::time::Timestamp;
use sha2::{Digest, Sha256};
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
        // A UUID has 122 random bits; the hash of three has all of its 256.
        let random: [u8; 48] = throwaway_secret();
        DrawKey(Sha256::digest(random).into())
    }
}

/// A secret that nobody has seen and that is forgotten with the process.
#[expect(clippy::disallowed_methods, reason = "the operating system's randomness, through a crate that is here anyway")]
pub fn throwaway_secret() -> [u8; 48] {
    let mut secret = [0; 48];
    for part in secret.chunks_exact_mut(16) {
        part.copy_from_slice(Uuid::new_v4().as_bytes());
    }
    secret
}
