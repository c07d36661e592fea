//! An instance forgets what it knows of queues that are not on sale any more.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use encore_domain::catalog::OnSale;
use encore_domain::ports::{MockCatalog, MockClock};
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{DRAW_KEY_BYTES, DrawKey, Pace, Queue, QueueDraw};
use encore_port_tests::fixtures;
use support::Mocks;

#[tokio::test]
async fn a_queue_that_has_closed_is_forgotten() {
    let performance = fixtures::id();
    let (is_on_sale, checkpoints, snapshots) =
        (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut mocks = Mocks::default();
    let lane = LaneSnapshot { drawn: Some(7), tail: 7, ..LaneSnapshot::default() };
    let snapshot = QueueSnapshot {
        epoch: 1,
        restored_at: fixtures::start(),
        quiet_until: fixtures::start(),
        draws: true,
        lanes: vec![lane],
        called: HashMap::new(),
        active: HashMap::new(),
        bucket: None,
        reserved: 0,
        flow: QueueFlow::default(),
        inside_accessible: HashSet::new(),
        pace: Pace::default(),
    };
    let read = Arc::clone(&snapshots);
    mocks.queues.expect_snapshot().returning(move |_| {
        read.fetch_add(1, Ordering::SeqCst);
        Ok(Some(snapshot.clone()))
    });
    mocks.queues.expect_admit().returning(|_, _, _| Ok(0));
    let kept = Arc::clone(&checkpoints);
    mocks.records.expect_keep().returning(move |_, _| {
        kept.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let draw = QueueDraw { pre_queue_opens_at: fixtures::start(), key: DrawKey([1; DRAW_KEY_BYTES]) };
    let queue = Queue { draw: Some(draw), ..Queue::default() };
    let sale = OnSale { performance, opens_at: fixtures::start(), queue: Some(queue) };
    let on_sale = Arc::clone(&is_on_sale);
    let mut catalog = MockCatalog::new();
    catalog
        .expect_on_sale()
        .returning(move |_| Ok(if on_sale.load(Ordering::SeqCst) { vec![sale.clone()] } else { Vec::new() }));
    catalog.expect_note_opening().returning(|_| Ok(true));
    let mut clock = MockClock::new();
    clock.expect_now().returning(fixtures::start);
    let room = mocks.room_on(catalog, Arc::new(clock));
    let work = async |opens| {
        is_on_sale.store(opens, Ordering::SeqCst);
        room.refresh_open_queues().await.expect("the catalog answers");
        let before = snapshots.load(Ordering::SeqCst);
        room.tick().await.expect("a tick");
        let read = snapshots.load(Ordering::SeqCst) - before;
        room.checkpoint().await.expect("a checkpoint");
        (read, checkpoints.load(Ordering::SeqCst))
    };

    assert_eq!(work(true).await, (1, 1), "the draw is learnt and a checkpoint is written");
    assert_eq!(work(true).await, (0, 1), "both are known");
    assert_eq!(work(false).await, (0, 1));
    assert_eq!(work(true).await, (1, 2), "neither is known any more");
}
