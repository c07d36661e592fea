//! Who is taken for absent, and when nobody may be.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use encore_app::contexts::PerformanceContexts;
use encore_app::open_queues::OpenQueues;
use encore_app::queue::{QueueParts, QueueUseCases};
use encore_app::queue_recovery::{QueueRecovery, RecoveryPorts};
use encore_app::queue_replica::QueueReplicaRegistry;
use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Catalog, Clock, MockCatalog, MockClock, MockDraws, MockLaneGrants, MockPayments, MockQueueRecords, MockQueueStore,
    MockQueueTokens, MockReservations, MockSeatChanges, MockSeatLocks, MockSeenRequests, QueueStore,
};
use encore_domain::queue::Queue;
use encore_port_tests::fixtures;
use encore_seat_map::{SeatMap, SeatMapParts};

const GRACE_SECS: i64 = 120;

/// A queue, a clock, and a store that can be away.
struct Stage {
    queue: QueueUseCases,
    now_secs: Arc<AtomicI64>,
    away: Arc<AtomicBool>,
    sweeps: Arc<AtomicUsize>,
}

impl Stage {
    async fn new() -> Self {
        let (now_secs, away, sweeps) =
            (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let performance: PerformanceId = fixtures::id();
        let mut catalog = MockCatalog::new();
        let sale = OnSale { performance, opens_at: fixtures::start(), queue: Some(Queue::default()) };
        catalog.expect_on_sale().returning(move |_| Ok(vec![sale.clone()]));
        let mut queues = MockQueueStore::new();
        let (queue_away, swept) = (Arc::clone(&away), Arc::clone(&sweeps));
        queues.expect_abandon_absent().returning(move |_, _| {
            if queue_away.load(Ordering::SeqCst) {
                return Err(Unavailable::of("redis").into());
            }
            swept.fetch_add(1, Ordering::SeqCst);
            Ok(0)
        });
        let mut clock = MockClock::new();
        let reading = Arc::clone(&now_secs);
        clock.expect_now().returning(move || {
            fixtures::at_secs(reading.load(Ordering::SeqCst).try_into().expect("time goes forward"))
        });
        let (catalog, queues): (Arc<dyn Catalog>, Arc<dyn QueueStore>) = (Arc::new(catalog), Arc::new(queues));
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let contexts = PerformanceContexts::new(Arc::clone(&catalog));
        let reservations = Arc::new(MockReservations::new());
        let (locks, changes) = (Arc::new(MockSeatLocks::new()), Arc::new(MockSeatChanges::new()));
        let seat_map = SeatMap::new(SeatMapParts {
            locks,
            changes,
            reservations,
            contexts: contexts.clone(),
            clock: Arc::clone(&clock),
        });
        let open_queues = OpenQueues::new(catalog, Arc::clone(&clock));
        open_queues.refresh().await.expect("the catalogue answers");
        let recovery = QueueRecovery::new(
            RecoveryPorts {
                queues: Arc::clone(&queues),
                records: Arc::new(MockQueueRecords::new()),
                draws: Arc::new(MockDraws::new()),
                payments: Arc::new(MockPayments::new()),
                clock: Arc::clone(&clock),
            },
            open_queues.clone(),
        );
        let replicas = QueueReplicaRegistry::new(
            recovery.clone(),
            Arc::clone(&queues),
            seat_map.clone(),
            open_queues.clone(),
            Arc::clone(&clock),
        );
        let queue = QueueUseCases::new(QueueParts {
            queues,
            recovery,
            tokens: Arc::new(MockQueueTokens::new()),
            lane_grants: Arc::new(MockLaneGrants::new()),
            seen: Arc::new(MockSeenRequests::new()),
            contexts,
            seat_map,
            open_queues,
            replicas,
            clock,
        });
        Self { queue, now_secs, away, sweeps }
    }

    /// Keeps presence at a moment, and says how often places have been looked through so far.
    async fn keep_at(&self, secs: i64) -> usize {
        self.now_secs.store(secs, Ordering::SeqCst);
        let kept = self.queue.keep_presence().await;
        assert!(kept.is_ok() || self.away.load(Ordering::SeqCst), "{kept:?}");
        self.sweeps.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn after_a_start_nobody_is_absent_for_a_whole_grace() {
    let stage = Stage::new().await;
    assert_eq!(stage.keep_at(0).await, 0);
    assert_eq!(stage.keep_at(GRACE_SECS - 1).await, 0);
    assert_eq!(stage.keep_at(GRACE_SECS).await, 1);
    assert_eq!(stage.keep_at(GRACE_SECS + 1).await, 2);
}

#[tokio::test]
async fn after_an_outage_nobody_is_absent_for_a_whole_grace() {
    let stage = Stage::new().await;
    stage.keep_at(0).await;
    assert_eq!(stage.keep_at(GRACE_SECS).await, 1);
    stage.away.store(true, Ordering::SeqCst);
    stage.keep_at(GRACE_SECS + 1).await;
    stage.away.store(false, Ordering::SeqCst);
    let back = 3 * GRACE_SECS;
    assert_eq!(stage.keep_at(back).await, 1, "nobody could report while the store was away");
    assert_eq!(stage.keep_at(back + GRACE_SECS - 1).await, 1);
    assert_eq!(stage.keep_at(back + GRACE_SECS).await, 2);
}
