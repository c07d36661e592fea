//! What runs beside the API on every instance. Every step is safe to repeat and to run on many instances at once, so a
//! worker that fails is simply run again.

use std::fmt::Display;
use std::time::Duration;

use encore_app::open_queues::OpenQueues;
use encore_app::queue::QueueUseCases;
use encore_app::queue_replica::TICK;
use encore_app::upkeep::Upkeep;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often those who are present are reported: many times in every grace.
const PRESENCE_EVERY: Duration = Duration::from_secs(1);
/// How often what a queue has come to is kept where it lasts: what is lost with the queue's store is no older.
const KEEP_QUEUES_EVERY: Duration = Duration::from_secs(1);
/// How often holds past their deadline are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// How often payments are told again, and overdue locks compared with the claims.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// How long after all seat locks on sale were compared with the claims they are compared again.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// The loops of an instance.
#[derive(Clone)]
pub struct Workers {
    queue: QueueUseCases,
    open_queues: OpenQueues,
    upkeep: Upkeep,
}

impl Workers {
    pub(crate) fn new(queue: QueueUseCases, open_queues: OpenQueues, upkeep: Upkeep) -> Self {
        Self { queue, open_queues, upkeep }
    }

    /// How many seats of the locks this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.upkeep.seats_repaired()
    }

    /// Runs all loops until `stop`, and returns when each has finished its step.
    pub async fn run(self, stop: CancellationToken) {
        let Self { queue, open_queues, upkeep } = self;
        let (ticking, presence, records) = (queue.clone(), queue.clone(), queue);
        let (expiry, settlements, locks, repair) = (upkeep.clone(), upkeep.clone(), upkeep.clone(), upkeep);
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
        loops.spawn(repeat("seat lock repair", stop, COMPARE_EVERY, move || {
            let upkeep = repair.clone();
            async move { upkeep.repair_seat_locks().await }
        }));
        while loops.join_next().await.is_some() {}
    }
}

/// Does a piece of work again and again. Trouble is logged when it begins and when it is over, not every time between.
async fn repeat<E, F>(name: &'static str, stop: CancellationToken, pause: Duration, work: impl Fn() -> F)
where
    E: Display,
    F: Future<Output = Result<(), E>>,
{
    let mut troubled = false;
    while !stop.is_cancelled() {
        match work().await {
            Ok(()) if troubled => {
                info!(worker = name, "works again");
                troubled = false;
            }
            Err(error) if !troubled => {
                warn!(worker = name, %error, "does not work for now");
                troubled = true;
            }
            Ok(()) | Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}
