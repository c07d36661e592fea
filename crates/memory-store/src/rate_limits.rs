use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_domain::error::PortError;
use encore_domain::ports::RateLimits;
use encore_domain::rate_limit::{LimitKey, RateLimit, RateLimited};
use encore_domain::time::Timestamp;

use crate::lock::lock;

/// How many keys are kept. Each takes about 100 bytes. When there are more, those that limit nothing any more go; if all do, they
/// all go, and everybody begins anew.
const KEYS_MAX: usize = 100_000;

/// [`RateLimits`] in process.
#[derive(Clone, Default)]
pub struct MemoryRateLimits {
    /// When all that was taken for a key has run out.
    empty_at: Arc<Mutex<HashMap<LimitKey, Timestamp>>>,
}

#[async_trait]
impl RateLimits for MemoryRateLimits {
    async fn take(&self, key: &LimitKey, limit: RateLimit, now: Timestamp) -> Result<(), PortError<RateLimited>> {
        let mut empty_at = lock(&self.empty_at);
        let taken = limit.take(empty_at.get(key).copied(), now).map_err(PortError::Refused)?;
        if empty_at.len() >= KEYS_MAX && !empty_at.contains_key(key) {
            empty_at.retain(|_, empty_at| *empty_at > now);
            if empty_at.len() >= KEYS_MAX {
                empty_at.clear();
            }
        }
        empty_at.insert(key.clone(), taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 1, every: Duration::from_secs(10) };

    #[tokio::test]
    async fn strangers_do_not_fill_the_memory() {
        let limits = MemoryRateLimits::default();
        let at = |seconds| Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
        let take = async |number: usize, now| {
            let taken = limits.take(&LimitKey::new("test", &number.to_string()), LIMIT, now).await;
            taken.expect("its first");
        };
        for number in 0..KEYS_MAX - 1 {
            take(number, at(0)).await;
        }
        take(KEYS_MAX, at(5)).await;
        take(KEYS_MAX + 1, at(10)).await;
        assert_eq!(lock(&limits.empty_at).len(), 2, "those of the beginning limit nothing any more");
    }
}
