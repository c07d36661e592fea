//! What runs beside the API on every instance. Every step is safe to repeat and to run on many instances at once, so a
//! worker that fails is simply run again.

use std::fmt::Display;
use std::time::Duration;

use encore_app::upkeep::Upkeep;
use encore_waiting_room::WaitingRoom;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often holds past their deadline are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// How often payments are told again, and overdue locks compared with the claims.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// How long after all seat locks on sale were compared with the claims they are compared again.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// The loops of an instance.
#[derive(Clone)]
pub struct Workers {
    room: WaitingRoom,
    upkeep: Upkeep,
}

impl Workers {
    pub(crate) fn new(room: WaitingRoom, upkeep: Upkeep) -> Self {
        Self { room, upkeep }
    }

    /// How many seats of the locks this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.upkeep.seats_repaired()
    }

    /// Runs all loops until `stop`, and returns when each has finished its step.
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
