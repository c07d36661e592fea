//! A Redis that may drop single keys is found out.
#![expect(clippy::expect_used, reason = "tests")]

use std::path::Path;

use encore_private_stores::RedisServer;
use encore_redis_store::eviction_policy;

fn start(name: &str) -> RedisServer {
    RedisServer::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).expect("Redis starts")
}

#[tokio::test]
async fn a_server_that_may_drop_keys_is_found_among_those_that_may_not() {
    let (keeps, drops) = (start("keeps"), start("drops"));
    let both = format!("{},{}", keeps.url(), drops.url());
    assert_eq!(eviction_policy(&both).await.expect("they are asked"), None);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        drops.ask(&format!("CONFIG SET maxmemory-policy {policy}")).expect("set");
        assert_eq!(eviction_policy(&both).await.expect("they are asked").as_deref(), Some(policy));
    }
    assert_eq!(eviction_policy(&keeps.url()).await.expect("it is asked"), None);
}

#[tokio::test]
async fn a_server_that_is_away_is_not_asked() {
    let (mut away, drops) = (start("away"), start("there"));
    drops.ask("CONFIG SET maxmemory-policy allkeys-random").expect("set");
    away.kill();
    let both = format!("{},{}", away.url(), drops.url());
    assert_eq!(eviction_policy(&both).await.expect("they are asked").as_deref(), Some("allkeys-random"));
    assert_eq!(eviction_policy(&away.url()).await.expect("it is asked"), None);
}
