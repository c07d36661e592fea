//! What a waiting room notes about its fans, on the queue store in memory and on Redis, and how it is published.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::event::message::{EventMessage, PublishOutcome};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Clock, EventPublisher, MockCatalog};
use encore_domain::queue::fact::{QueueFact, QueueFactKind, QueueFacts};
use encore_domain::queue::{EndReason, Queue, QueueSettings, QueueTokenPayload};
use encore_domain::time::Timestamp;
use encore_events::QueueFactPublisher;
use encore_port_tests::fixtures::{self, id, queue_settings};
use encore_proto::events::v1::QueueFacts as Published;
use encore_server::ports::Ports;
use encore_tests::clock::{CountingIds, TestClock};
use encore_tests::world::{embedded_ports, variable};
use encore_waiting_room::{Ending, Entrant, QueueStatus, Stock, WaitingRoom, WaitingRoomParts};
use futures::StreamExt;
use prost::Message;

/// Seats for all.
struct Plenty;

#[async_trait]
impl Stock for Plenty {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        Ok(StockByNeed { general: SeatStock { free: 1_000, held: 0 }, accessible: SeatStock::default() })
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        Ok(true)
    }
}

/// A queue, and what is noted about it.
struct Bench {
    room: WaitingRoom,
    facts: Arc<QueueFacts>,
    clock: Arc<TestClock>,
    performance: PerformanceId,
}

impl Bench {
    async fn both() -> [Self; 2] {
        let clock = Arc::<TestClock>::default();
        let prefix = format!("queue-facts-{}-{}", std::process::id(), id::<PerformanceId>());
        let on_redis = embedded_ports(Arc::clone(&clock)).on_redis(&variable("ENCORE_REDIS_URL"), &prefix).await;
        let on_redis = Self::on(on_redis.expect("Redis is available"), Arc::clone(&clock)).await;
        let clock = Arc::<TestClock>::default();
        [Self::on(embedded_ports(Arc::clone(&clock)), clock).await, on_redis]
    }

    async fn on(ports: Ports, clock: Arc<TestClock>) -> Self {
        let performance = id();
        let settings = QueueSettings { draining: false, ..queue_settings() };
        let queue = Some(Queue { settings, draw: None });
        let sale = OnSale { performance, opens_at: fixtures::start(), queue };
        let mut catalog = MockCatalog::new();
        catalog.expect_on_sale().returning(move |_| Ok(vec![sale.clone()]));
        let parts = WaitingRoomParts {
            queues: ports.queues,
            records: ports.queue_records,
            draws: ports.draws,
            catalog: Arc::new(catalog),
            stock: Arc::new(Plenty),
            clock: ports.clock,
        };
        let facts = Arc::new(QueueFacts::kept());
        let room = WaitingRoom::noting(parts, Arc::clone(&facts));
        room.refresh_open_queues().await.expect("the catalog answers");
        Self { room, facts, clock, performance }
    }

    /// Joins a lane a second later.
    async fn join(&self, user: UserId, lane: u8) -> QueueTokenPayload {
        self.clock.advance(Duration::from_secs(1));
        let open = self.room.open_queue(self.performance).await.expect("the catalog answers").expect("an open queue");
        let fan = Entrant { user, lane, needs_accessible: false };
        self.room.join(&open, fan, None).await.expect("the queue answers")
    }

    async fn tick(&self) {
        self.room.tick().await.expect("the stores answer");
    }

    /// What was noted since it was asked last.
    fn noted(&self) -> Vec<(Option<UserId>, u8, QueueFactKind, Timestamp)> {
        let (facts, dropped) = self.facts.take(100);
        assert_eq!(dropped, 0);
        facts.into_iter().map(|QueueFact { user, lane, kind, at, .. }| (user, lane, kind, at)).collect()
    }
}

#[tokio::test]
async fn what_happens_to_fans_is_noted_once() {
    for bench in Bench::both().await {
        let now = || bench.clock.now();
        let [ada, bob]: [UserId; 2] = [id(), id()];
        let of_ada = bench.join(ada, 0).await;
        let joined_at = now();
        bench.join(ada, 0).await;
        assert_eq!(
            bench.noted(),
            [(Some(ada), 0, QueueFactKind::Joined, joined_at)],
            "a second join gives out no token"
        );
        bench.join(bob, 0).await;
        let first = (Some(bob), 0, QueueFactKind::Joined, now());
        let of_bob = bench.join(bob, 1).await;
        let second = (Some(bob), 1, QueueFactKind::Joined, now());
        let left_lane = (Some(bob), 0, QueueFactKind::Ended(EndReason::Replaced), now());
        assert_eq!(bench.noted(), [first, second, left_lane]);

        bench.tick().await;
        let called = (Some(ada), 0, QueueFactKind::Called, now());
        bench.clock.advance(Duration::from_secs(2));
        let until = now() + queue_settings().active_duration;
        let accepted = (Some(ada), 0, QueueFactKind::Accepted { until }, now());
        for _ in 0..2 {
            let position = bench.room.position(&of_ada).await.expect("the queue answers");
            assert_eq!(position.status, QueueStatus::Admitted { until });
            bench.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(bench.noted(), [called, accepted], "the call is accepted once");

        assert_eq!(bench.room.end(&of_bob, EndReason::Left).await.expect("the queue answers"), EndReason::Left);
        assert_eq!(bench.noted(), [(Some(bob), 1, QueueFactKind::Ended(EndReason::Left), now())]);

        let mut frames = pin!(bench.room.watch(&of_ada).await.expect("the queue answers").frames());
        frames.next().await.expect("a frame").expect("the queue answers");
        bench.clock.advance(queue_settings().active_duration);
        bench.tick().await;
        let ended = frames.next().await.expect("a frame").expect("the queue answers");
        assert_eq!(ended.status, QueueStatus::Ended(Ending::Token(EndReason::Expired)));
        assert_eq!(bench.noted(), [(Some(ada), 0, QueueFactKind::Ended(EndReason::Expired), now())]);
    }
}

#[tokio::test]
async fn of_absent_fans_the_token_is_noted() {
    for bench in Bench::both().await {
        let token = bench.join(id(), 2).await;
        assert_eq!(bench.noted().len(), 1);
        bench.room.keep_presence().await.expect("the stores answer");
        bench.clock.advance(queue_settings().grace * 2);
        bench.room.keep_presence().await.expect("the stores answer");
        let (facts, _) = bench.facts.take(10);
        let QueueTokenPayload { performance, epoch, lane, index, .. } = token;
        let (user, kind, at) = (None, QueueFactKind::Ended(EndReason::Abandoned), bench.clock.now());
        assert_eq!(facts, [QueueFact { performance, epoch, lane, index, user, kind, at }]);
    }
}

/// Keeps what is published; it can be away.
#[derive(Default)]
struct Recorder {
    published: Mutex<Vec<EventMessage>>,
    away: bool,
}

#[async_trait]
impl EventPublisher for Recorder {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        if self.away {
            return Err(Unavailable::of("recorder"));
        }
        self.published.lock().expect("not poisoned").extend_from_slice(batch);
        Ok(vec![PublishOutcome::Published; batch.len()])
    }
}

#[tokio::test]
async fn facts_are_published_in_batches_and_dropped_while_that_is_impossible() {
    let [bench, _] = Bench::both().await;
    for _ in 0..3 {
        bench.join(id(), 0).await;
    }
    let away = Arc::new(Recorder { away: true, ..Recorder::default() });
    let publisher = QueueFactPublisher::new(Arc::clone(&bench.facts), away, Arc::new(CountingIds));
    publisher.step().await.expect_err("the publisher is away");

    let joined = [bench.join(id(), 0).await, bench.join(id(), 0).await];
    let recorder = Arc::<Recorder>::default();
    let publisher = QueueFactPublisher::new(Arc::clone(&bench.facts), recorder.clone(), Arc::new(CountingIds));
    for _ in 0..2 {
        publisher.step().await.expect("the publisher answers");
    }
    let published = recorder.published.lock().expect("not poisoned");
    let [message] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(message.key, bench.performance.to_string());
    let batch = Published::decode(message.data.as_slice()).expect("its data");
    let users: Vec<String> = batch.facts.into_iter().map(|fact| fact.user_id).collect();
    assert_eq!(users, joined.map(|token| token.user.to_string()), "those of before are gone");
}
