//! Connects tests to the server of `ENCORE_REDIS_URL` or the nodes of `ENCORE_REDIS_CLUSTER_URL`, with a key prefix
//! that no other test uses.

use std::sync::Arc;

use encore_domain::time::Timestamp;
use encore_port_tests::SpeedBench;
use encore_redis_store::{Redis, RedisQueueStore, RedisRateLimits, RedisSeatChanges, RedisSeatLocks};
use redis::RedisResult;
use redis::cluster::ClusterClient;

/// The counter from which the prefixes of tests are numbered.
const TESTS_KEY: &str = "encore-tests";

pub fn server_url() -> String {
    std::env::var("ENCORE_REDIS_URL").expect("ENCORE_REDIS_URL names a Redis server: run `cargo xtask test`")
}

/// A connection to inspect keys with, apart from those of the adapters.
pub async fn bare_connection() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server_url()).expect("a redis URL");
    client.get_multiplexed_async_connection().await.expect("the server of ENCORE_REDIS_URL replies")
}

/// A prefix that no other test uses.
pub async fn fresh_prefix() -> String {
    prefix(redis::cmd("INCR").arg(TESTS_KEY).query_async(&mut bare_connection().await).await)
}

fn prefix(test: RedisResult<u64>) -> String {
    format!("encore-test-{}:", test.expect("a count"))
}

pub async fn redis_at(url: &str) -> Redis {
    Redis::connect(url, &fresh_prefix().await).await.expect("the server replies")
}

pub async fn fresh_redis() -> Redis {
    redis_at(&server_url()).await
}

pub async fn fresh_cluster() -> Redis {
    let urls = std::env::var("ENCORE_REDIS_CLUSTER_URL")
        .expect("ENCORE_REDIS_CLUSTER_URL names the nodes of a Redis Cluster: run `cargo xtask test`");
    let client = ClusterClient::new(urls.split(',')).expect("redis URLs");
    let mut connection = client.get_connection().expect("the nodes of ENCORE_REDIS_CLUSTER_URL reply");
    let prefix = prefix(redis::cmd("INCR").arg(TESTS_KEY).query(&mut connection));
    Redis::connect(&urls, &prefix).await.expect("the nodes reply")
}

/// Every port on this Redis.
pub fn bench_on(redis: Redis) -> SpeedBench {
    SpeedBench {
        seat_locks: Arc::new(RedisSeatLocks::new(redis.clone())),
        seat_changes: Arc::new(RedisSeatChanges::new(redis.clone())),
        rate_limits: Arc::new(RedisRateLimits::new(redis.clone())),
        queues: Arc::new(RedisQueueStore::new(redis)),
        keep: Box::new(()),
    }
}

/// Milliseconds after a moment in 2026.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_790_000_000_000 + ms).expect("in range")
}
