//! A Redis for tests: the server of `ENCORE_REDIS_URL`, and a prefix that no other test uses.

use encore_domain::time::Timestamp;
use encore_redis_store::Redis;

pub fn server_url() -> String {
    std::env::var("ENCORE_REDIS_URL").expect("ENCORE_REDIS_URL names a Redis server: run `cargo xtask test`")
}

/// A connection beside the adapters, to look at keys.
pub async fn bare_connection() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server_url()).expect("a redis URL");
    client.get_multiplexed_async_connection().await.expect("the server of ENCORE_REDIS_URL answers")
}

/// A prefix of its own: the server counts the tests.
pub async fn fresh_prefix() -> String {
    let mut connection = bare_connection().await;
    let test: u64 = redis::cmd("INCR").arg("encore-tests").query_async(&mut connection).await.expect("a count");
    format!("encore-test-{test}:")
}

pub async fn redis_at(url: &str) -> Redis {
    Redis::connect(url, &fresh_prefix().await).await.expect("the server answers")
}

pub async fn fresh_redis() -> Redis {
    redis_at(&server_url()).await
}

/// Milliseconds after a moment in 2026.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_790_000_000_000 + ms).expect("in range")
}
