use std::fs;
use std::path::PathBuf;

use encore_domain::booking::seat_state::{SeatLock, SeatNews, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{SeatChanges, SeatLocks};
use encore_private_stores::certificates::CertificateAuthority;
use encore_private_stores::{RedisCluster, RedisServer};
use uuid::Uuid;

use super::*;
use crate::{Redis, RedisSeatChanges, RedisSeatLocks, eviction_policy};

const PREFIX: &str = "encore:";

fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("encore-redis-tls-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

async fn open(url: &str, roots: Option<&str>) -> Result<Redis, String> {
    let servers = RedisServers::parse(url, roots.map(str::as_bytes)).map_err(|error| error.to_string())?;
    let with_cause =
        |error: encore_domain::error::Unavailable| error.source.map_or_else(String::new, |it| it.to_string());
    Redis::open(&servers, PREFIX).await.map_err(with_cause)
}

/// A change of a seat arrives: commands and subscriptions both work.
async fn is_told_of_changes(redis: &Redis, performance: PerformanceId) {
    let locks = RedisSeatLocks::new(redis.clone());
    locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    let changes = RedisSeatChanges::new(redis.clone());
    let mut listener = changes.listen(performance).await.expect("redis answers");
    let sold = SeatLock::sold(Slot(0), ReservationId(Uuid::nil()), UserId(Uuid::nil()));
    locks.mark(performance, &[sold]).await.expect("redis answers");
    assert!(matches!(listener.next().await, SeatNews::Changed(_)));
}

#[tokio::test]
async fn only_the_server_that_the_url_names_is_spoken_to() {
    let folder = folder("server");
    let (authority, other) = (CertificateAuthority::new().expect("keys"), CertificateAuthority::new().expect("keys"));
    let issued = authority.issue(&["localhost"]).expect("a certificate");
    let server = RedisServer::start_encrypted(&folder, &issued.certificate, &issued.key, &authority.root());
    let server = server.expect("Redis starts");
    let url = |host| server.encrypted_url(host).expect("it has an encrypted port");

    let redis = open(&url("localhost"), Some(&authority.root())).await.expect("its certificate is right");
    is_told_of_changes(&redis, PerformanceId(Uuid::from_u128(1))).await;
    server.ask("CONFIG SET maxmemory-policy allkeys-lru").expect("set");
    let servers = RedisServers::parse(&url("localhost"), Some(authority.root().as_bytes())).expect("a URL");
    assert_eq!(eviction_policy(&servers).await.as_deref(), Some("allkeys-lru"));

    for (url, roots, refusal) in [
        (url("localhost"), Some(other.root()), "UnknownIssuer"),
        (url("localhost"), None, "UnknownIssuer"),
        (url("127.0.0.1"), Some(authority.root()), "not valid for name"),
        (url("localhost").replace("rediss", "redis"), None, ""),
    ] {
        let error = open(&url, roots.as_deref()).await.err().unwrap_or_else(|| panic!("{url} is accepted"));
        assert!(error.contains(refusal), "{url}: {error}");
    }
    drop(server);
    fs::remove_dir_all(&folder).expect("the folder goes");
}

#[tokio::test]
async fn every_node_of_a_cluster_is_reached_encrypted() {
    let folder = folder("cluster");
    let (authority, other) = (CertificateAuthority::new().expect("keys"), CertificateAuthority::new().expect("keys"));
    let issued = authority.issue(&["127.0.0.1"]).expect("a certificate");
    let cluster = RedisCluster::start_encrypted(&folder, &issued.certificate, &issued.key, &authority.root());
    let cluster = cluster.expect("the nodes start");
    let redis = open(&cluster.encrypted_urls(), Some(&authority.root())).await.expect("its certificates are right");
    // The keys of so many performances are on all three nodes.
    for number in 0..16 {
        is_told_of_changes(&redis, PerformanceId(Uuid::from_u128(number))).await;
    }
    assert!(open(&cluster.encrypted_urls(), Some(&other.root())).await.is_err());
    drop(cluster);
    fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn what_would_protect_less_than_it_seems_is_refused() {
    let root = CertificateAuthority::new().expect("keys").root();
    let refused = |urls: &str, roots: Option<&str>| RedisServers::parse(urls, roots.map(str::as_bytes)).err();
    assert!(matches!(refused("rediss://one,redis://two", None), Some(ServersError::Mixed)));
    assert!(matches!(refused("rediss://one#insecure", None), Some(ServersError::Insecure)));
    assert!(matches!(refused("redis://one", Some(&root)), Some(ServersError::RootsWithoutTls)));
    assert!(matches!(refused("rediss://one", Some("no PEM")), Some(ServersError::NoRoots)));
    assert!(matches!(refused("rediss://one:x", None), Some(ServersError::Driver(_))));
    assert!(RedisServers::parse("rediss://one,rediss://two", Some(root.as_bytes())).is_ok());
}
