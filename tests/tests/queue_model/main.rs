//! Model-based tests of the queue. Random operations are applied by two instances in turn, and after each one the queue
//! is compared with a model made of plain lists. At random points the queue is lost, and restored from an earlier
//! record.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod checked;
mod draw;
mod losing;
mod model;
mod operations;
mod record;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::ports::QueueStore;
use encore_domain::queue::{QueueRate, QueueSettings};
use encore_port_tests::fixtures::{lanes, queue_settings};
use futures::future::BoxFuture;
use proptest::collection::vec;
use proptest::prelude::*;

use checked::Checked;
use operations::{Loss, Operation, operation};
use stores::{Flushable, on_memory, on_redis};

const EPOCH: i64 = 41;
const LANES: usize = 2;
const FANS: usize = 9;
const MOST_OPERATIONS: usize = 80;
/// By how much a limit exceeds its tail when the queue is restored. Fewer fans join before the next loss.
const LIMIT_AHEAD: u64 = 100;
const MAX_ACTIVE: u32 = 6;
const BATCH: u32 = 4;
const ACCEPT_WINDOW: Duration = Duration::from_secs(5);
const ACTIVE_DURATION: Duration = Duration::from_secs(9);
const GRACE: Duration = Duration::from_secs(8);

/// The settings with which the queue is restored. The terms of admissions never exceed them.
fn settings() -> QueueSettings {
    QueueSettings {
        rate: QueueRate { admissions: 6, period: Duration::from_secs(1) },
        batch: BATCH,
        max_active: MAX_ACTIVE,
        accept_window: ACCEPT_WINDOW,
        active_duration: ACTIVE_DURATION,
        grace: GRACE,
        lanes: lanes(&[("general", 1), ("fan-club", 1)]),
        ..queue_settings()
    }
}

/// Two instances of one queue, and a function that loses it.
struct Stores {
    instances: [Arc<dyn QueueStore>; 2],
    lose: Box<dyn Fn(Loss) -> BoxFuture<'static, ()>>,
}

/// Applies the operations to a new queue.
fn run<F: Future<Output = Stores>>(stores: impl FnOnce() -> F, operations: &[Operation]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut queue = Checked::new(stores().await).await;
        for operation in operations {
            queue.apply(operation).await;
        }
    });
}

/// Failures are printed and not written to a file.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn a_queue_in_redis_matches_the_model() {
    let redis = Flushable::start();
    proptest!(config(400), |(operations in vec(operation(), 1..=MOST_OPERATIONS))| {
        run(|| on_redis(&redis), &operations);
    });
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn a_queue_in_memory_matches_the_model(operations in vec(operation(), 1..=MOST_OPERATIONS)) {
        run(on_memory, &operations);
    }
}
