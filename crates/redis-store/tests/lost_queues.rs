//! A queue that may be incomplete is lost for every call, and can be restored.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Joining, Presence, QueueStore};
use encore_domain::queue::{QueueRecord, QueueSettings, QueueTokenPayload, RestoredQueue};
use encore_port_tests::queue_store::assert_lost;
use encore_redis_store::{Redis, RedisQueueStore};
use redis::aio::MultiplexedConnection;
use support::{at, bare_connection, fresh_prefix, server_url};
use uuid::Uuid;

const PERFORMANCE: PerformanceId = PerformanceId(Uuid::from_u128(7));
const EPOCH: i64 = 41;

fn new_queue() -> RestoredQueue {
    QueueRecord::new(EPOCH, 1, at(0)).restored(None, &[], &[], &QueueSettings::default(), at(0))
}

/// A queue that one fan has joined, the queue token of the fan, and the key of the queue.
async fn queue() -> (RedisQueueStore, QueueTokenPayload, String) {
    let prefix = fresh_prefix().await;
    let queues = RedisQueueStore::new(Redis::connect(&server_url(), &prefix).await.expect("the server replies"));
    assert!(queues.open(PERFORMANCE, &new_queue()).await.expect("redis replies"));
    queues.extend(PERFORMANCE, EPOCH, 0, 10).await.expect("the queue is open");
    let (user, presence) = (UserId(Uuid::from_u128(1)), Presence { now: at(0), grace: QueueSettings::default().grace });
    let joining = Joining {
        performance: PERFORMANCE,
        user,
        lane: 0,
        needs_accessible: false,
        may_enter: true,
        token: None,
        presence,
        request: None,
        entry: None,
    };
    let payload = queues.join(joining).await.expect("a token").payload;
    (queues, payload, format!("{prefix}{{{PERFORMANCE}}}:queue"))
}

async fn assert_lost_and_restorable(queues: &RedisQueueStore, payload: &QueueTokenPayload) {
    assert_lost(queues, payload, at(0)).await;
    assert!(queues.open(PERFORMANCE, &new_queue()).await.expect("redis replies"), "it is opened again");
    let queue = queues.snapshot(PERFORMANCE).await.expect("redis replies").expect("the queue is open");
    assert_eq!((queue.lanes[0].tail, queue.waiting()), (0, 0), "it has none of its earlier numbers");
}

#[tokio::test]
async fn a_queue_whose_key_was_deleted_is_lost() {
    let (queues, payload, key) = queue().await;
    let mut connection: MultiplexedConnection = bare_connection().await;
    redis::cmd("DEL").arg(key).query_async::<u64>(&mut connection).await.expect("deleted");
    assert_lost_and_restorable(&queues, &payload).await;
}

#[tokio::test]
async fn a_queue_of_another_replication_id_is_lost() {
    // A replica that was promoted, or a server that was restarted from an older dump, has another replication id than
    // the server on which the queue was opened.
    let (queues, payload, key) = queue().await;
    let mut connection = bare_connection().await;
    let mut other = redis::cmd("HSET");
    other.arg(key).arg("home").arg("8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb");
    other.query_async::<u64>(&mut connection).await.expect("set");
    assert_lost_and_restorable(&queues, &payload).await;
}
