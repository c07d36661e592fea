//! The behaviour of the adapters while a node of a Redis Cluster is unavailable, when it is back, and when slots move.
//! Each test has a cluster of its own.
#![expect(clippy::expect_used, reason = "tests")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use encore_domain::booking::seat_state::{SeatLock, SeatNews, SeatStatus, SeatStock, StockAt};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{SeatChanges, SeatListener, SeatLocks, StoreClock};
use encore_domain::time::Timestamp;
use encore_private_stores::RedisCluster;
use encore_redis_store::{Redis, RedisClock, RedisSeatChanges, RedisSeatLocks};
use uuid::Uuid;

/// Longer than any call may take. A call that reaches it hangs.
const HANG: Duration = Duration::from_secs(20);
/// Longer than the time-out of a command.
const OUTAGE: Duration = Duration::from_secs(2);
const PREFIX: &str = "encore:";

fn start_cluster(test: &str) -> RedisCluster {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    // An earlier run may have left its files.
    let _removed_if_present = std::fs::remove_dir_all(&folder);
    RedisCluster::start(&folder).expect("the nodes start")
}

async fn connect(cluster: &RedisCluster) -> Redis {
    Redis::connect(&cluster.urls(), PREFIX).await.expect("the nodes reply")
}

/// One performance per node, whose keys are on that node.
async fn one_performance_per_node(cluster: &RedisCluster) -> [PerformanceId; 3] {
    let mut found = [None; 3];
    for number in 0.. {
        let performance = PerformanceId(Uuid::from_u128(number));
        found[cluster.node_of(slot(cluster, performance).await)].get_or_insert(performance);
        if let [Some(first), Some(second), Some(third)] = found {
            return [first, second, third];
        }
    }
    unreachable!("every node serves some of the numbers")
}

async fn slot(cluster: &RedisCluster, performance: PerformanceId) -> u16 {
    cluster_command(cluster, 0, &["KEYSLOT", &format!("{{{performance}}}")]).await
}

/// Sends a `CLUSTER` command to a node.
async fn cluster_command<T: redis::FromRedisValue>(cluster: &RedisCluster, node: usize, words: &[&str]) -> T {
    let urls = cluster.urls();
    let url = urls.split(',').nth(node).expect("a node");
    let client = redis::Client::open(url).expect("a redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("the node replies");
    redis::cmd("CLUSTER").arg(words).query_async(&mut connection).await.expect("a reply")
}

async fn returns<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, call).await.expect("the call returns")
}

fn assert_redis_is_unavailable<T>(result: Result<T, Unavailable>) {
    assert_eq!(result.err().map(|unavailable| unavailable.what), Some("redis"));
}

fn sold(slot: u32) -> [SeatLock; 1] {
    [SeatLock::sold(Slot(slot), ReservationId(Uuid::nil()), UserId(Uuid::nil()))]
}

#[tokio::test]
async fn a_node_that_is_down_makes_only_its_own_performances_unavailable() {
    let mut cluster = start_cluster("a_node_dies");
    let [lost, kept @ ..] = one_performance_per_node(&cluster).await;
    let redis = connect(&cluster).await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    for performance in [lost, kept[0], kept[1]] {
        seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    }
    assert_eq!(seat_locks.stock(&[lost, kept[0], kept[1]]).await.expect("redis replies").len(), 3);

    cluster.stop(0);
    for _ in 0..3 {
        assert_redis_is_unavailable(returns(seat_locks.snapshot(lost)).await);
        assert_redis_is_unavailable(returns(seat_locks.mark(lost, &sold(0))).await);
        assert_redis_is_unavailable(returns(seat_locks.stock(&[kept[0], lost])).await);
        for performance in kept {
            assert!(returns(seat_locks.snapshot(performance)).await.expect("its node is available").is_some());
            // No node has loaded this script yet, and it cannot be loaded on the node that is down.
            returns(seat_locks.mark(performance, &sold(0))).await.expect("its node is available");
        }
        assert_eq!(returns(seat_locks.stock(&kept)).await.expect("their nodes are available").len(), 2);
    }
    let new_client = RedisSeatLocks::new(returns(connect(&cluster)).await);
    assert!(returns(new_client.snapshot(kept[0])).await.expect("its node is available").is_some());
    assert_redis_is_unavailable(returns(new_client.snapshot(lost)).await);

    cluster.start_again(0).expect("the node starts");
    let back = async { while seat_locks.load(lost, &[Some(SeatStatus::Free); 3], &[], 1).await.is_err() {} };
    returns(back).await;
    assert!(returns(seat_locks.snapshot(lost)).await.expect("the node is back").is_some());
}

#[tokio::test]
async fn a_subscriber_of_a_node_that_goes_down_moves_to_another_node() {
    let mut cluster = start_cluster("a_subscribed_node_dies");
    let [_, performance, _] = one_performance_per_node(&cluster).await;
    let redis = connect(&cluster).await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    let changes = RedisSeatChanges::new(redis);
    let mut listener = returns(changes.listen(performance)).await.expect("redis replies");
    seat_locks.mark(performance, &sold(0)).await.expect("redis replies");
    // The change by the load may be received first.
    while next_version(&mut *listener).await != Some(2) {}

    // The subscription is on the node that is configured first.
    cluster.stop(0);
    assert_eq!(next_version(&mut *listener).await, None);
    seat_locks.mark(performance, &sold(1)).await.expect("its node is available");
    assert_eq!(next_version(&mut *listener).await, Some(3));
    returns(changes.listen(performance)).await.map(drop).expect("another node is available");
}

/// The version of the next change that the listener receives; none if it may have missed changes.
async fn next_version(listener: &mut dyn SeatListener) -> Option<u64> {
    match returns(listener.next()).await {
        SeatNews::Changed(change) => Some(change.version),
        SeatNews::Missed => None,
    }
}

#[tokio::test]
async fn a_node_that_hangs_does_not_delay_the_others() {
    let cluster = start_cluster("a_node_hangs");
    let [lost, kept @ ..] = one_performance_per_node(&cluster).await;
    let seat_locks = RedisSeatLocks::new(connect(&cluster).await);
    assert_eq!(seat_locks.snapshot(lost).await.expect("redis replies"), None);
    for performance in kept {
        seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    }
    cluster.pause(0);
    // The first client has a connection to the node. The second cannot connect to it.
    let new_client = RedisSeatLocks::new(returns(connect(&cluster)).await);
    for seat_locks in [&seat_locks, &new_client] {
        let (failures, replies) = tokio::join!(count_failures(seat_locks, lost), count_replies(seat_locks, kept));
        assert!(failures > 0 && replies > 500, "{failures} failures and {replies} replies");
    }
    cluster.resume(0);
    let back = async { while seat_locks.snapshot(lost).await.is_err() {} };
    returns(back).await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the nodes under test are on this machine and have its clock")]
async fn a_node_that_hangs_does_not_hide_the_clock() {
    let cluster = start_cluster("a_node_with_a_clock_hangs");
    let clock = RedisClock::new(connect(&cluster).await);
    cluster.pause(0);
    let before = Timestamp::from(SystemTime::now()) - Duration::from_millis(1);
    let read = returns(clock.now()).await.expect("two nodes answer");
    let after = Timestamp::from(SystemTime::now()) + Duration::from_millis(1);
    assert!(before <= read && read <= after, "{before} {read} {after}");
    cluster.resume(0);
}

/// How many calls fail during the outage, one after the other.
async fn count_failures(seat_locks: &RedisSeatLocks, performance: PerformanceId) -> u32 {
    let (begun, mut failures) = (Instant::now(), 0);
    while begun.elapsed() < OUTAGE {
        assert_redis_is_unavailable(seat_locks.snapshot(performance).await);
        failures += 1;
    }
    failures
}

/// How many calls succeed during the outage, one after the other.
async fn count_replies(seat_locks: &RedisSeatLocks, performances: [PerformanceId; 2]) -> u32 {
    let (begun, mut replies) = (Instant::now(), 0);
    while begun.elapsed() < OUTAGE {
        for performance in performances {
            assert!(seat_locks.snapshot(performance).await.expect("its node is available").is_some());
            replies += 1;
        }
    }
    replies
}

#[tokio::test]
async fn every_kind_of_command_follows_a_slot_that_moves() {
    let cluster = start_cluster("a_slot_moves");
    let [performance, ..] = one_performance_per_node(&cluster).await;
    // Every client has the slot map from before the move. Each sends another kind of command after it.
    let script = RedisSeatLocks::new(connect(&cluster).await);
    let command = RedisSeatLocks::new(connect(&cluster).await);
    let pipeline = RedisSeatLocks::new(connect(&cluster).await);
    let transaction = RedisSeatLocks::new(connect(&cluster).await);
    let slot = slot(&cluster, performance).await.to_string();
    let new_node: String = cluster_command(&cluster, 1, &["MYID"]).await;
    for node in [1, 0, 2] {
        let () = cluster_command(&cluster, node, &["SETSLOT", &slot, "NODE", &new_node]).await;
    }

    script.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("the slot is found");
    let held = SeatLock::held(Slot(0), ReservationId(Uuid::nil()), UserId(Uuid::nil()), Timestamp::UNIX_EPOCH);
    command.load(performance, &[Some(SeatStatus::Free); 3], &[held], 1).await.expect("the slot is found");
    let stock = StockAt { version: 1, stock: SeatStock { free: 3, held: 0 } };
    assert_eq!(pipeline.stock(&[performance]).await.expect("the slot is found"), [Some(stock)]);
    let seats = transaction.snapshot(performance).await.expect("the slot is found").expect("loaded");
    assert_eq!((seats.statuses, seats.version), (vec![Some(SeatStatus::Free); 3], 1));
}
