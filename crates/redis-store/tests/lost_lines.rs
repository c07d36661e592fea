//! A line of which this Redis may have lost something says so of everything asked, and can be put in place again.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Joining, Lines, Presence};
use encore_domain::queue::{LineRecord, LineSettings, QueueTicket, RestoredLine};
use encore_port_tests::lines::assert_lost;
use encore_redis_store::{Redis, RedisLines};
use redis::aio::MultiplexedConnection;
use support::{at, bare_connection, fresh_prefix, server_url};
use uuid::Uuid;

const PERFORMANCE: PerformanceId = PerformanceId(Uuid::from_u128(7));
const EPOCH: i64 = 41;

fn new_line() -> RestoredLine {
    LineRecord::new(EPOCH, 1, at(0)).restored(None, &[], &[], &LineSettings::default(), at(0))
}

/// A line that somebody has joined, its ticket, and the name of its key.
async fn line() -> (RedisLines, QueueTicket, String) {
    let prefix = fresh_prefix().await;
    let lines = RedisLines::new(Redis::connect(&server_url(), &prefix).await.expect("the server answers"));
    assert!(lines.open(PERFORMANCE, &new_line()).await.expect("redis answers"));
    lines.extend(PERFORMANCE, EPOCH, 0, 10).await.expect("the line is in place");
    let (user, presence) = (UserId(Uuid::from_u128(1)), Presence { now: at(0), grace: LineSettings::default().grace });
    let joining = Joining { performance: PERFORMANCE, user, lane: 0, may_enter: true, place: None, presence };
    let ticket = lines.join(joining).await.expect("a place");
    (lines, ticket, format!("{prefix}{{{PERFORMANCE}}}:line"))
}

async fn is_lost_and_can_be_put_in_place(lines: &RedisLines, ticket: &QueueTicket) {
    assert_lost(lines, ticket, at(0)).await;
    assert!(lines.open(PERFORMANCE, &new_line()).await.expect("redis answers"), "it was lost");
    let line = lines.snapshot(PERFORMANCE).await.expect("redis answers").expect("the line is in place");
    assert_eq!((line.lanes[0].tail, line.waiting()), (0, 0), "nothing is left of what was");
}

#[tokio::test]
async fn a_line_whose_key_is_gone_is_lost() {
    let (lines, ticket, key) = line().await;
    let mut connection: MultiplexedConnection = bare_connection().await;
    redis::cmd("DEL").arg(key).query_async::<u64>(&mut connection).await.expect("deleted");
    is_lost_and_can_be_put_in_place(&lines, &ticket).await;
}

#[tokio::test]
async fn a_line_of_another_history_is_lost() {
    // A replica that took over, or a server that was started from an older dump, has another replication id than the one that the
    // line was put in place on.
    let (lines, ticket, key) = line().await;
    let mut connection = bare_connection().await;
    let mut other = redis::cmd("HSET");
    other.arg(key).arg("home").arg("8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb");
    other.query_async::<u64>(&mut connection).await.expect("set");
    is_lost_and_can_be_put_in_place(&lines, &ticket).await;
}
