use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::PortError;
use encore_domain::ports::RateLimits;
use encore_domain::rate_limit::{LimitKey, RateLimit, RateLimited};
use encore_domain::time::Timestamp;
use redis::Script;

use crate::connection::Redis;
use crate::reply::millis;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/rate_limits/take.lua")));

/// [`RateLimits`] in Redis, for all instances. A key goes when it limits nothing any more.
#[derive(Clone)]
pub struct RedisRateLimits {
    redis: Redis,
}

impl RedisRateLimits {
    /// The limits in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl RateLimits for RedisRateLimits {
    async fn take(&self, key: &LimitKey, limit: RateLimit, now: Timestamp) -> Result<(), PortError<RateLimited>> {
        let mut take = TAKE.prepare_invoke();
        take.key(self.redis.keys.rate_limit(key));
        take.arg(now.timestamp_millis()).arg(millis(limit.every)).arg(limit.burst);
        let wait_ms: u64 = self.redis.run(&take).await?;
        if wait_ms == 0 { Ok(()) } else { Err(PortError::Refused(RateLimited(Duration::from_millis(wait_ms)))) }
    }
}
