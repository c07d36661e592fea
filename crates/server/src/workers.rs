//! The background loops of every instance. Every step is idempotent and may run on several instances at the same time, so a
//! step that fails is retried.

use std::fmt::Display;
use std::time::Duration;

use encore_app::open_queues::OpenQueues;
use encore_app::queue::QueueUseCases;
use encore_app::queue_replica::TICK;
use encore_app::seat_reconciliation::SeatReconciliation;
use encore_app::upkeep::Upkeep;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The interval at which present fans are reported to the queue's store: many times within every grace period.
const PRESENCE_EVERY: Duration = Duration::from_secs(1);
/// The interval at which the state of queues is saved to durable records. It bounds what is lost if the queue's store is lost.
const KEEP_QUEUES_EVERY: Duration = Duration::from_secs(1);
/// The interval at which expired holds are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// The interval at which pending settlements are propagated and overdue locks are compared with the claims.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// The pause between two comparisons of all locks on sale with the claims.
const RECONCILE_EVERY: Duration = Duration::from_secs(5);

/// The background loops of an instance.
#[derive(Clone)]
pub struct Workers {
    queue: QueueUseCases,
    open_queues: OpenQueues,
    upkeep: Upkeep,
    reconciliation: SeatReconciliation,
}

impl Workers {
    pub(crate) fn new(
        queue: QueueUseCases,
        open_queues: OpenQueues,
        upkeep: Upkeep,
        reconciliation: SeatReconciliation,
    ) -> Self {
        Self { queue, open_queues, upkeep, reconciliation }
    }

    /// The number of seat locks that this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.reconciliation.repairs()
    }

    /// Runs all loops until `stop` is cancelled. Returns when each loop has finished its current step.
    pub async fn run(self, stop: CancellationToken) {
        let Self { queue, open_queues, upkeep, reconciliation } = self;
        let (ticking, presence, records) = (queue.clone(), queue.clone(), queue);
        let (expiry, settlements, locks) = (upkeep.clone(), upkeep.clone(), upkeep);
        let mut loops = JoinSet::new();
        loops.spawn(repeat("open queues", stop.clone(), OpenQueues::REFRESH_EVERY, move || {
            let open_queues = open_queues.clone();
            async move { open_queues.refresh().await }
        }));
        loops.spawn(repeat("tick", stop.clone(), TICK, move || {
            let queue = ticking.clone();
            async move { queue.tick().await }
        }));
        loops.spawn(repeat("presence", stop.clone(), PRESENCE_EVERY, move || {
            let queue = presence.clone();
            async move { queue.keep_presence().await }
        }));
        loops.spawn(repeat("queue records", stop.clone(), KEEP_QUEUES_EVERY, move || {
            let queue = records.clone();
            async move { queue.keep_queues().await }
        }));
        loops.spawn(repeat("expiry", stop.clone(), EXPIRE_EVERY, move || {
            let upkeep = expiry.clone();
            async move { upkeep.expire_holds().await }
        }));
        loops.spawn(repeat("settlements", stop.clone(), REPAIR_EVERY, move || {
            let upkeep = settlements.clone();
            async move { upkeep.propagate_settlements().await }
        }));
        loops.spawn(repeat("overdue locks", stop.clone(), REPAIR_EVERY, move || {
            let upkeep = locks.clone();
            async move { upkeep.settle_overdue_locks().await }
        }));
        loops.spawn(repeat("reconciliation", stop, RECONCILE_EVERY, move || {
            let reconciliation = reconciliation.clone();
            async move { reconciliation.reconcile().await }
        }));
        while loops.join_next().await.is_some() {}
    }
}

/// Repeats a step until `stop` is cancelled. The first failure and the first success after it are logged, not the failures
/// between them.
async fn repeat<E, F>(name: &'static str, stop: CancellationToken, pause: Duration, work: impl Fn() -> F)
where
    E: Display,
    F: Future<Output = Result<(), E>>,
{
    let mut failing = false;
    while !stop.is_cancelled() {
        match work().await {
            Ok(()) if failing => {
                info!(worker = name, "worker step succeeded again; worker recovered");
                failing = false;
            }
            Err(error) if !failing => {
                warn!(worker = name, %error, "worker step failed; retrying");
                failing = true;
            }
            Ok(()) | Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}
