//! A Redis is flushed, restarted from an older dump, or replaced by a replica that lags behind. No fan loses a token, a
//! position or an admission.

use std::path::Path;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use encore_private_stores::RedisServer;
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::route::Route;
use encore_tests::world::{World, until};
use futures::future::join_all;

const INSTANCES: usize = 2;

/// Starts a private Redis.
pub(crate) fn start(name: &str) -> RedisServer {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // An earlier run may have left files.
    let _none_or_removed = std::fs::remove_dir_all(&folder);
    RedisServer::start(&folder).expect("Redis starts")
}

pub(crate) fn ask(redis: &RedisServer, command: &str) -> String {
    redis.ask(command).expect("Redis answers")
}

/// A sale whose store loses the latest changes.
struct Sale {
    world: World,
    performance: PerformanceId,
    /// Active throughout the test.
    guest: Fan,
    /// Active, and pays after the last change that the store keeps.
    buyer: Fan,
    /// The fans in the order of the queue. The first is admitted after the last change that the store keeps.
    queue: Vec<Fan>,
}

impl Sale {
    /// The part of the sale that the store keeps.
    async fn begin(redis_url: &str) -> Self {
        let world = World::durable_on(INSTANCES, redis_url).await;
        let two_inside = QueueSettings { max_active: 2, ..QueueSettings::default() };
        let performance = world.performance(Some(two_inside)).await;
        let (mut guest, mut buyer) = (world.fan(0).await, world.fan(1).await);
        for fan in [&mut guest, &mut buyer] {
            fan.enter(performance).await.expect("admitted");
        }
        let mut sale = Self { world, performance, guest, buyer, queue: Vec::new() };
        sale.join(4).await;
        // The durable record contains at least this state.
        until("the record of the queue", || async {
            let record = sale.world.ports.queue_records.find(performance).await.expect("Postgres is available");
            record.is_some_and(|record| record.lanes[0].tail == 6 && record.inside.len() == 2)
        })
        .await;
        sale
    }

    async fn join(&mut self, fans: usize) {
        for turn in 0..fans {
            let mut fan = self.world.fan(turn).await;
            fan.join(self.performance).await.expect("a queue token");
            self.queue.push(fan);
        }
    }

    /// The part of the sale that the store loses.
    async fn continue_sale(&mut self) {
        self.buyer.top_up(50_000).await.expect("a credit");
        let hold = self.buyer.hold(self.performance, &["S-A-1"]).await.expect("a hold");
        self.buyer.pay(&hold.reservation_id).await.expect("paid");
        self.queue[0].wait().await.expect("admitted after the buyer");
        self.join(2).await;
    }

    /// The fan with a connection to each instance.
    fn everywhere(&self, fan: &Fan) -> Vec<Fan> {
        (0..INSTANCES).map(|turn| fan.on(self.world.channel(turn))).collect()
    }

    /// Loses the queue by `lose`, and checks that the restored queue has the old state and continues.
    async fn survives(&mut self, lose: impl Future<Output = ()>) {
        let (world, performance) = (&self.world, self.performance);
        let inside = [&self.guest, &self.queue[0]];
        let deadlines = join_all(inside.map(deadline)).await;
        // One fan waits on an open stream, whose instance shows the token. The others show their tokens with their next
        // call.
        let _stream = self.queue[2].watch().await.expect("a stream");
        world.queue_lost_by(performance, lose).await;

        for fan in self.everywhere(&self.buyer) {
            until("the instance on Redis again", || async { fan.position().await.is_ok() }).await;
            let status = fan.position().await.expect("a status");
            assert!(matches!(status, QueueStatus::Ended(ended) if ended.reason() == EndReason::Used), "{status:?}");
        }
        for (fan, until) in inside.into_iter().zip(deadlines) {
            for fan in self.everywhere(fan) {
                assert_eq!(deadline(&fan).await, until, "active until the same deadline");
            }
        }
        let taken = self.queue[0].hold(performance, &["S-A-1"]).await.expect_err("sold");
        assert_eq!(reason(&taken), "SEATS_TAKEN");
        self.queue[0].hold(performance, &["S-A-2"]).await.expect("still active");

        // The fans return in another order and keep their positions.
        for (fan, expected) in self.queue[1..].iter().rev().zip((1..=5).rev()) {
            until("a position", || async { position(fan).await.is_some_and(|position| position <= expected) }).await;
        }
        for (fan, expected) in self.queue[1..].iter().zip(1..) {
            for fan in self.everywhere(fan) {
                until("the position", || async { position(&fan).await == Some(expected) }).await;
            }
        }
        let mut newcomer = world.fan(1).await;
        let number = newcomer.join(performance).await.expect("a number");
        assert!(number > 8, "no number is given twice: {number}");
        until("the end of the queue", || async { position(&newcomer).await == Some(6) }).await;
        let queue = world.ports.queues.snapshot(performance).await.expect("Redis is available").expect("a queue");
        assert_eq!((queue.active.len(), queue.called.len()), (2, 0), "no fan is admitted beyond max_active");

        self.queue.push(newcomer);
        for turn in 1..self.queue.len() {
            let leaves = if turn == 1 { &self.guest } else { &self.queue[turn - 1] };
            leaves.leave().await.expect("left");
            self.queue[turn].wait().await.expect("admitted");
            if let Some(next) = self.queue.get(turn + 1) {
                assert!(position(next).await.is_some(), "no fan is admitted out of order");
            }
        }
    }
}

async fn position(fan: &Fan) -> Option<u64> {
    if let Ok(QueueStatus::Waiting(waiting)) = fan.position().await { Some(waiting.position) } else { None }
}

/// The end of a fan's admission.
async fn deadline(fan: &Fan) -> (i64, i32) {
    match fan.position().await {
        Ok(QueueStatus::Admitted(admitted)) => {
            admitted.until.map(|until| (until.seconds, until.nanos)).expect("a deadline")
        }
        other => panic!("not admitted: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_survives_a_flush_of_redis() {
    let redis = start("flushed");
    let mut sale = Sale::begin(&redis.url()).await;
    sale.continue_sale().await;
    sale.survives(async { assert_eq!(ask(&redis, "FLUSHALL"), "OK") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_survives_a_redis_restored_from_an_older_dump() {
    let mut redis = start("older");
    let mut sale = Sale::begin(&redis.url()).await;
    assert_eq!(ask(&redis, "SAVE"), "OK");
    sale.continue_sale().await;
    sale.survives(async {
        redis.kill();
        redis.start_again().expect("Redis starts");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_survives_a_failover_to_a_lagging_replica() {
    let (mut first, replica) = (start("first"), start("replica"));
    assert_eq!(ask(&replica, &format!("REPLICAOF 127.0.0.1 {}", first.port())), "OK");
    until("a connected replica", || async { ask(&replica, "INFO replication").contains("master_link_status:up") })
        .await;
    let route = Route::to(first.port()).await;
    let mut sale = Sale::begin(&route.url()).await;
    until("a replica without lag", || async {
        let offset = |redis: &RedisServer| {
            let info = ask(redis, "INFO replication");
            info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).map(str::to_owned)
        };
        offset(&replica) == offset(&first)
    })
    .await;
    assert_eq!(ask(&replica, "REPLICAOF NO ONE"), "OK");
    sale.continue_sale().await;
    sale.survives(async {
        first.kill();
        route.turn_to(replica.port());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_after_a_loss_does_no_harm() {
    let redis = start("repeats");
    let world = World::durable_on(INSTANCES, &redis.url()).await;
    let paused = QueueSettings { paused: true, ..QueueSettings::default() };
    let performance = world.performance(Some(paused)).await;
    let (waits, leaves) = (world.fan(0).await, world.fan(1).await);
    let [join, leave] = [(); 2].map(|()| request_id());
    let joined = waits.join_as(&join, performance, "").await.expect("a queue token");
    let left = leaves.join_as(&request_id(), performance, "").await.expect("a queue token");
    let (waits, leaves) = (waits.showing(&joined.queue_token), leaves.showing(&left.queue_token));
    assert_eq!(leaves.leave_as(&leave).await.expect("left"), EndReason::Left);

    world.queue_lost_by(performance, async { assert_eq!(ask(&redis, "FLUSHALL"), "OK") }).await;
    until("the fan's token shown again", || async { position(&waits).await == Some(1) }).await;
    for turn in 0..INSTANCES {
        let again = waits.on(world.channel(turn)).join_as(&join, performance, "").await.expect("a repeat");
        assert_eq!(again.queue_token, joined.queue_token);
        assert_eq!(leaves.on(world.channel(turn)).leave_as(&leave).await.expect("a repeat"), EndReason::Left);
    }
    let queue = world.ports.queues.snapshot(performance).await.expect("Redis is available").expect("a queue");
    assert_eq!(queue.waiting(), 1, "nobody else waits");
}
