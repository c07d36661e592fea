//! `eviction_policy` detects a Redis that may evict keys.
#![expect(clippy::expect_used, reason = "tests")]

use std::path::Path;

use encore_private_stores::RedisServer;
use encore_redis_store::RedisServers;

fn start(name: &str) -> RedisServer {
    RedisServer::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).expect("Redis starts")
}

async fn eviction_policy(urls: &str) -> Option<String> {
    encore_redis_store::eviction_policy(&RedisServers::parse(urls, None).expect("the URLs are valid")).await
}

#[tokio::test]
async fn a_server_that_may_evict_keys_is_found_among_others() {
    let (safe, evicting) = (start("safe"), start("evicting"));
    let both = format!("{},{}", safe.url(), evicting.url());
    assert_eq!(eviction_policy(&both).await, None);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        evicting.ask(&format!("CONFIG SET maxmemory-policy {policy}")).expect("set");
        assert_eq!(eviction_policy(&both).await.as_deref(), Some(policy));
    }
    assert_eq!(eviction_policy(&safe.url()).await, None);
}

#[tokio::test]
async fn a_server_that_is_unavailable_is_skipped() {
    let (mut unavailable, evicting) = (start("unavailable"), start("available"));
    evicting.ask("CONFIG SET maxmemory-policy allkeys-random").expect("set");
    unavailable.kill();
    let both = format!("{},{}", unavailable.url(), evicting.url());
    assert_eq!(eviction_policy(&both).await.as_deref(), Some("allkeys-random"));
    assert_eq!(eviction_policy(&unavailable.url()).await, None);
}
