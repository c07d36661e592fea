//! Loads seats of which many are held. The owners and deadlines are first staged in chunks, under temporary keys. The
//! script that sets the state string renames these keys in the same step. So no script runs for long, and no reader
//! sees a partial load.

use std::collections::BTreeMap;
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatStatus, show_locks};
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId};

use crate::connection::Redis;
use crate::reply::millis;
use crate::seat_bytes::byte;

/// The most held seats in one pipeline, so that no command blocks Redis for more than about a millisecond.
const STAGED_PER_PIPELINE: usize = 1_000;
/// How long a load may take. Its staged keys expire afterwards.
const STAGED_FOR: Duration = Duration::from_mins(1);

/// The state of a venue with its locks applied.
pub(crate) struct LockedPerformance {
    /// The state string.
    pub(crate) state: Vec<u8>,
    free: usize,
    /// By slot: the owner and the deadline in milliseconds.
    held: BTreeMap<u32, (ReservationId, i64)>,
}

impl LockedPerformance {
    /// Applies locks to a venue. A lock on a slot that is no seat is ignored. The last lock on a seat counts.
    pub(crate) fn new(all_free: &[Option<SeatStatus>], locks: &[SeatLock]) -> Self {
        let mut statuses = all_free.to_vec();
        show_locks(&mut statuses, locks);
        let is_seat = |lock: &&SeatLock| all_free.get(lock.slot.0 as usize).is_some_and(Option::is_some);
        let mut held = BTreeMap::new();
        for lock in locks.iter().filter(is_seat) {
            match lock.owner {
                SeatOwner::Holder { reservation, until } => {
                    held.insert(lock.slot.0, (reservation, until.timestamp_millis()));
                }
                SeatOwner::Buyer { .. } | SeatOwner::Operators { .. } => {
                    held.remove(&lock.slot.0);
                }
            }
        }
        let free = statuses.iter().filter(|status| **status == Some(SeatStatus::Free)).count();
        Self { state: statuses.into_iter().map(byte).collect(), free, held }
    }

    /// The number of free seats.
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// The number of held seats.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Stages the owners and deadlines. Returns their temporary keys.
    pub(crate) async fn stage(&self, redis: &Redis, performance: PerformanceId) -> Result<[String; 2], Unavailable> {
        if self.held.is_empty() {
            return Ok(redis.keys.seats_staged(performance, 0));
        }
        let load = redis.send(redis::cmd("INCR").arg(redis.keys.seats_loads(performance))).await?;
        let [owners, deadlines] = redis.keys.seats_staged(performance, load);
        let held: Vec<_> = self.held.iter().collect();
        for chunk in held.chunks(STAGED_PER_PIPELINE) {
            let mut hset = redis::cmd("HSET");
            hset.arg(&owners);
            let mut zadd = redis::cmd("ZADD");
            zadd.arg(&deadlines);
            for (slot, (owner, until_ms)) in chunk {
                hset.arg(**slot).arg(owner.0.as_bytes().as_slice());
                zadd.arg(*until_ms).arg(**slot);
            }
            let mut pipeline = redis::pipe();
            pipeline.add_command(hset).ignore().add_command(zadd).ignore();
            for key in [&owners, &deadlines] {
                pipeline.cmd("PEXPIRE").arg(key).arg(millis(STAGED_FOR)).ignore();
            }
            redis.send_all::<()>(&pipeline).await?;
        }
        Ok([owners, deadlines])
    }
}
