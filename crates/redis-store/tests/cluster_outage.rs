//! What callers see while a node of a Redis Cluster is away, when it is back, and when slots move. Each test has a cluster of
//! its own.
#![expect(clippy::expect_used, reason = "tests")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use encore_domain::booking::seat_state::{SeatLock, SeatNews, SeatStatus, SeatStock, StockAt};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{SeatChanges, SeatListener, SeatLocks};
use encore_domain::time::Timestamp;
use encore_private_stores::RedisCluster;
use encore_redis_store::{Redis, RedisSeatChanges, RedisSeatLocks};
use uuid::Uuid;

/// Far beyond what any call may take: reaching it means that the call hangs.
const HANG: Duration = Duration::from_secs(20);
/// Long enough for a command to be given up.
const WHILE: Duration = Duration::from_secs(2);
const PREFIX: &str = "encore:";

fn start_cluster(test: &str) -> RedisCluster {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    // The run before may have left its files there.
    let _none_or_removed = std::fs::remove_dir_all(&folder);
    RedisCluster::start(&folder).expect("the nodes start")
}

async fn connect(cluster: &RedisCluster) -> Redis {
    Redis::connect(&cluster.urls(), PREFIX).await.expect("the nodes answer")
}

/// A performance for each node, which has its keys.
async fn one_for_each_node(cluster: &RedisCluster) -> [PerformanceId; 3] {
    let mut found = [None; 3];
    for number in 0.. {
        let performance = PerformanceId(Uuid::from_u128(number));
        found[cluster.node_of(slot(cluster, performance).await)].get_or_insert(performance);
        if let [Some(first), Some(second), Some(third)] = found {
            return [first, second, third];
        }
    }
    unreachable!("some performance belongs to each node")
}

async fn slot(cluster: &RedisCluster, performance: PerformanceId) -> u16 {
    ask(cluster, 0, &["KEYSLOT", &format!("{{{performance}}}")]).await
}

/// Asks a node about the cluster.
async fn ask<T: redis::FromRedisValue>(cluster: &RedisCluster, node: usize, words: &[&str]) -> T {
    let urls = cluster.urls();
    let url = urls.split(',').nth(node).expect("a node");
    let client = redis::Client::open(url).expect("a redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("the node answers");
    redis::cmd("CLUSTER").arg(words).query_async(&mut connection).await.expect("an answer")
}

async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, call).await.expect("the call answers")
}

fn assert_redis_is_away<T>(answer: Result<T, Unavailable>) {
    assert_eq!(answer.err().map(|unavailable| unavailable.what), Some("redis"));
}

fn sold(slot: u32) -> [SeatLock; 1] {
    [SeatLock::sold(Slot(slot), ReservationId(Uuid::nil()))]
}

#[tokio::test]
async fn a_node_that_dies_takes_its_own_performances_with_it_and_no_others() {
    let mut cluster = start_cluster("a_node_dies");
    let [lost, kept @ ..] = one_for_each_node(&cluster).await;
    let redis = connect(&cluster).await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    for performance in [lost, kept[0], kept[1]] {
        seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    }
    assert_eq!(seat_locks.stock(&[lost, kept[0], kept[1]]).await.expect("redis answers").len(), 3);

    cluster.stop(0);
    for _ in 0..3 {
        assert_redis_is_away(soon(seat_locks.snapshot(lost)).await);
        assert_redis_is_away(soon(seat_locks.mark(lost, &sold(0))).await);
        assert_redis_is_away(soon(seat_locks.stock(&[kept[0], lost])).await);
        for performance in kept {
            assert!(soon(seat_locks.snapshot(performance)).await.expect("its node is there").is_some());
            // The nodes have not seen this script before, and one that is away cannot be taught it.
            soon(seat_locks.mark(performance, &sold(0))).await.expect("its node is there");
        }
        assert_eq!(soon(seat_locks.stock(&kept)).await.expect("their nodes are there").len(), 2);
    }
    let newcomer = RedisSeatLocks::new(soon(connect(&cluster)).await);
    assert!(soon(newcomer.snapshot(kept[0])).await.expect("its node is there").is_some());
    assert_redis_is_away(soon(newcomer.snapshot(lost)).await);

    cluster.start_again(0).expect("the node starts");
    let back = async { while seat_locks.load(lost, &[Some(SeatStatus::Free); 3], &[], 1).await.is_err() {} };
    soon(back).await;
    assert!(soon(seat_locks.snapshot(lost)).await.expect("the node is back").is_some());
}

#[tokio::test]
async fn who_listens_on_a_node_that_dies_hears_on_from_another() {
    let mut cluster = start_cluster("a_heard_node_dies");
    let [_, performance, _] = one_for_each_node(&cluster).await;
    let redis = connect(&cluster).await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    let changes = RedisSeatChanges::new(redis);
    let mut listener = soon(changes.listen(performance)).await.expect("redis answers");
    seat_locks.mark(performance, &sold(0)).await.expect("redis answers");
    // The load may be heard first.
    while version_heard(&mut *listener).await != Some(2) {}

    // The node that is named first is the one that is heard.
    cluster.stop(0);
    assert_eq!(version_heard(&mut *listener).await, None);
    seat_locks.mark(performance, &sold(1)).await.expect("its node is there");
    assert_eq!(version_heard(&mut *listener).await, Some(3));
    soon(changes.listen(performance)).await.map(drop).expect("another node is there");
}

/// The version that somebody hears of next; none if something was missed.
async fn version_heard(listener: &mut dyn SeatListener) -> Option<u64> {
    match soon(listener.next()).await {
        SeatNews::Changed(change) => Some(change.version),
        SeatNews::Missed => None,
    }
}

#[tokio::test]
async fn a_node_that_hangs_holds_up_nobody_else() {
    let cluster = start_cluster("a_node_hangs");
    let [lost, kept @ ..] = one_for_each_node(&cluster).await;
    let seat_locks = RedisSeatLocks::new(connect(&cluster).await);
    assert_eq!(seat_locks.snapshot(lost).await.expect("redis answers"), None);
    for performance in kept {
        seat_locks.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    }
    cluster.pause(0);
    // One has a connection to the node, and one cannot make any.
    let newcomer = RedisSeatLocks::new(soon(connect(&cluster)).await);
    for seat_locks in [&seat_locks, &newcomer] {
        let (away, answers) = tokio::join!(away_for_a_while(seat_locks, lost), answers_for_a_while(seat_locks, kept));
        assert!(away > 0 && answers > 500, "{away} refusals and {answers} answers");
    }
    cluster.resume(0);
    let back = async { while seat_locks.snapshot(lost).await.is_err() {} };
    soon(back).await;
}

/// How often it is said that Redis is away.
async fn away_for_a_while(seat_locks: &RedisSeatLocks, performance: PerformanceId) -> u32 {
    let (begun, mut away) = (Instant::now(), 0);
    while begun.elapsed() < WHILE {
        assert_redis_is_away(seat_locks.snapshot(performance).await);
        away += 1;
    }
    away
}

/// How often seats are answered.
async fn answers_for_a_while(seat_locks: &RedisSeatLocks, performances: [PerformanceId; 2]) -> u32 {
    let (begun, mut answers) = (Instant::now(), 0);
    while begun.elapsed() < WHILE {
        for performance in performances {
            assert!(seat_locks.snapshot(performance).await.expect("its node is there").is_some());
            answers += 1;
        }
    }
    answers
}

#[tokio::test]
async fn a_slot_that_moves_is_found_where_it_is() {
    let cluster = start_cluster("a_slot_moves");
    let [performance, ..] = one_for_each_node(&cluster).await;
    // All of them have learnt where the slot was, and each meets the move with something else.
    let script = RedisSeatLocks::new(connect(&cluster).await);
    let command = RedisSeatLocks::new(connect(&cluster).await);
    let pipeline = RedisSeatLocks::new(connect(&cluster).await);
    let transaction = RedisSeatLocks::new(connect(&cluster).await);
    let slot = slot(&cluster, performance).await.to_string();
    let new_node: String = ask(&cluster, 1, &["MYID"]).await;
    for node in [1, 0, 2] {
        let () = ask(&cluster, node, &["SETSLOT", &slot, "NODE", &new_node]).await;
    }

    script.load(performance, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("the slot is found");
    let held = SeatLock::held(Slot(0), ReservationId(Uuid::nil()), Timestamp::UNIX_EPOCH);
    command.load(performance, &[Some(SeatStatus::Free); 3], &[held], 1).await.expect("the slot is found");
    let stock = StockAt { version: 1, stock: SeatStock { free: 3, held: 0 } };
    assert_eq!(pipeline.stock(&[performance]).await.expect("the slot is found"), [Some(stock)]);
    let seats = transaction.snapshot(performance).await.expect("the slot is found").expect("loaded");
    assert_eq!((seats.statuses, seats.version), (vec![Some(SeatStatus::Free); 3], 1));
}
