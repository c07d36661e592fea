//! How often somebody may do something, by the generic cell rate algorithm (GCRA): a leaky bucket that is one moment.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// How many bytes of its digest stand for a subject. Two subjects with the same bytes would share a limit.
const DIGEST_BYTES: usize = 16;

/// So many at once, and one more each time this long has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many may be done at once after a quiet time; at least 1.
    pub burst: u32,
    /// How long it takes until one more may be done; at least a millisecond.
    pub every: Duration,
}

/// Who may do what. It contains a digest, so that a store knows neither e-mail addresses nor those of networks.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LimitKey(String);

/// It was not done. The next may be done after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited(pub Duration);

impl RateLimit {
    /// So many within each period, evenly, and as many at once.
    pub fn per(count: u32, period: Duration) -> Self {
        let burst = count.max(1);
        Self { burst, every: (period / burst).max(Duration::from_millis(1)) }
    }

    /// One more at `now`, where all of the bucket has run out at `empty_at`, or at any time before `now` if that is none. Returns
    /// when it has run out afterwards.
    pub fn take(self, empty_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, RateLimited> {
        let empty_at = empty_at.unwrap_or(now).max(now) + self.every;
        let over = empty_at - self.every.saturating_mul(self.burst) - now;
        match over.to_std() {
            Ok(over) if !over.is_zero() => Err(RateLimited(over)),
            // Negative: there is room.
            Ok(_) | Err(_) => Ok(empty_at),
        }
    }
}

impl LimitKey {
    /// The key of a subject, such as an address, in what is limited, such as `log_in`.
    pub fn new(limited: &'static str, subject: &str) -> Self {
        let digest = Sha256::digest(subject.as_bytes());
        let hex = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}"));
        Self(hex.fold(format!("{limited}:"), |key, digits| key + &digits))
    }

    /// The key as a store keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 3, every: Duration::from_secs(10) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    #[test]
    fn a_burst_is_followed_by_one_at_a_time() {
        let mut empty_at = None;
        for _ in 0..3 {
            empty_at = Some(LIMIT.take(empty_at, at(0)).expect("within the burst"));
        }
        assert_eq!(LIMIT.take(empty_at, at(0)), Err(RateLimited(Duration::from_secs(10))));
        assert_eq!(LIMIT.take(empty_at, at(4)), Err(RateLimited(Duration::from_secs(6))));
        let next = LIMIT.take(empty_at, at(10)).expect("one more");
        assert_eq!(LIMIT.take(Some(next), at(10)), Err(RateLimited(Duration::from_secs(10))));
    }

    #[test]
    fn a_quiet_time_saves_no_more_than_the_burst() {
        let mut empty_at = Some(at(0));
        for _ in 0..3 {
            empty_at = Some(LIMIT.take(empty_at, at(1_000)).expect("within the burst"));
        }
        assert!(LIMIT.take(empty_at, at(1_000)).is_err());
    }

    #[test]
    fn a_limit_per_period_lets_as_many_through_at_once() {
        let limit = RateLimit::per(30, Duration::from_mins(15));
        assert_eq!(limit, RateLimit { burst: 30, every: Duration::from_secs(30) });
        assert_eq!(RateLimit::per(0, Duration::from_secs(1)).burst, 1);
    }

    #[test]
    fn a_key_tells_subjects_apart_and_does_not_show_them() {
        let key = LimitKey::new("log_in", "fan@example.com");
        assert_ne!(key, LimitKey::new("log_in", "other@example.com"));
        assert_ne!(key, LimitKey::new("sign_up", "fan@example.com"));
        assert!(key.as_str().starts_with("log_in:") && !key.as_str().contains("fan"), "{key:?}");
    }
}
