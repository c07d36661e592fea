use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::StoreClock;
use encore_domain::time::Timestamp;

use crate::connection::Redis;

/// [`StoreClock`] of Redis. In a cluster it is the clock of the node that answers first.
#[derive(Clone)]
pub struct RedisClock {
    redis: Redis,
}

impl RedisClock {
    /// The clock of this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl StoreClock for RedisClock {
    async fn now(&self) -> Result<Timestamp, Unavailable> {
        let (seconds, micros): (i64, u32) = self.redis.send_to_any(&redis::cmd("TIME")).await?;
        let now = Timestamp::from_timestamp(seconds, micros.saturating_mul(1_000));
        now.ok_or_else(|| Unavailable::of("the clock of redis"))
    }
}
