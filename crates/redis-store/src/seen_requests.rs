use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::{Seen, SeenRequests};
use encore_domain::request::RequestKey;

use crate::connection::Redis;

/// How long a request is remembered: no client repeats a call for longer.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// [`SeenRequests`] as one string per request that Redis forgets by itself.
#[derive(Clone)]
pub struct RedisSeenRequests {
    redis: Redis,
}

impl RedisSeenRequests {
    /// Remembers requests in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl SeenRequests for RedisSeenRequests {
    async fn remember(&self, request: RequestKey) -> Result<Seen, Unavailable> {
        let mut set = redis::cmd("SET");
        set.arg(self.redis.keys.request(&request)).arg(request.fingerprint.as_bytes());
        set.arg("NX").arg("GET").arg("EX").arg(REMEMBERED_FOR.as_secs());
        let remembered: Option<Vec<u8>> = self.redis.send(&set).await?;
        Ok(match remembered {
            None => Seen::First,
            Some(fingerprint) if request.fingerprint.repeats(&fingerprint) => Seen::Same,
            Some(_) => Seen::Other,
        })
    }
}
