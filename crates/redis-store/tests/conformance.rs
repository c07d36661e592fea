//! The suites of the ports, on Redis.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::sync::Arc;

use encore_port_tests::SpeedBench;
use encore_redis_store::{RedisLines, RedisSeatChanges, RedisSeatLocks, RedisSeenRequests};

async fn bench() -> SpeedBench {
    let redis = support::fresh_redis().await;
    SpeedBench {
        seat_locks: Arc::new(RedisSeatLocks::new(redis.clone())),
        seat_changes: Arc::new(RedisSeatChanges::new(redis.clone())),
        lines: Arc::new(RedisLines::new(redis.clone())),
        seen_requests: Arc::new(RedisSeenRequests::new(redis)),
        keep: Box::new(()),
    }
}

encore_port_tests::seat_changes!(bench);
encore_port_tests::seat_locks!(bench);
encore_port_tests::lines!(bench);
encore_port_tests::seen_requests!(bench);
