//! The background loops of every instance. Every step is idempotent and may run on several instances at the same time,
//! so a step that fails is retried.

use std::error::Error;
use std::time::Duration;

use encore_app::upkeep::Upkeep;
use encore_waiting_room::WaitingRoom;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The interval at which expired holds are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// The interval at which pending settlements are propagated and overdue locks are compared with the claims.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// The pause between two comparisons of all locks on sale with the claims.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// The background loops of an instance.
#[derive(Clone)]
pub struct Workers {
    room: WaitingRoom,
    upkeep: Upkeep,
}

impl Workers {
    pub(crate) fn new(room: WaitingRoom, upkeep: Upkeep) -> Self {
        Self { room, upkeep }
    }

    /// The number of seat locks that this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.upkeep.seats_repaired()
    }

    /// Runs all loops until `stop` is cancelled. Returns when each loop has finished its current step.
    pub async fn run(self, stop: CancellationToken) {
        let Self { room, upkeep } = self;
        let (opening, ticking, presence, records) = (room.clone(), room.clone(), room.clone(), room);
        let (expiry, settlements, locks, repair) = (upkeep.clone(), upkeep.clone(), upkeep.clone(), upkeep);
        let mut loops = JoinSet::new();
        loops.spawn(repeat("open queues", stop.clone(), WaitingRoom::REFRESH_EVERY, move || {
            let room = opening.clone();
            async move { room.refresh_open_queues().await }
        }));
        loops.spawn(repeat("tick", stop.clone(), WaitingRoom::TICK_EVERY, move || {
            let room = ticking.clone();
            async move { room.tick().await }
        }));
        loops.spawn(repeat("presence", stop.clone(), WaitingRoom::PRESENCE_EVERY, move || {
            let room = presence.clone();
            async move { room.keep_presence().await }
        }));
        loops.spawn(repeat("queue records", stop.clone(), WaitingRoom::CHECKPOINT_EVERY, move || {
            let room = records.clone();
            async move { room.checkpoint().await }
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

/// Repeats a step until `stop` is cancelled. The first failure and the first success after it are logged, not the
/// failures between them.
async fn repeat<E, F>(name: &'static str, stop: CancellationToken, pause: Duration, work: impl Fn() -> F)
where
    E: Error + 'static,
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
                warn!(worker = name, error = &error as &dyn Error, "worker step failed; retrying");
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
