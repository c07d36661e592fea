//! Loads seats of which many are taken. Owners, deadlines and fans are first staged in chunks, under temporary keys. The
//! script that sets the state string renames these keys in the same step. So no script runs for long, and no reader
//! sees a partial load.

use std::collections::BTreeMap;
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatStatus, show_locks};
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};

use crate::connection::Redis;
use crate::reply::millis;
use crate::seat_bytes::byte;
use crate::seat_fans::{FanSeats, owner};

/// The most seats or fans in one command, so that no command blocks Redis for more than about a millisecond.
const STAGED_PER_COMMAND: usize = 1_000;
/// How long a load may take. Its staged keys expire afterwards.
const STAGED_FOR: Duration = Duration::from_mins(1);

/// The state of a venue with its locks applied.
pub(crate) struct LockedPerformance {
    /// The state string.
    pub(crate) state: Vec<u8>,
    free: usize,
    /// By slot: the owner of a seat that is held or sold, and the deadline in milliseconds of one that is held.
    owned: BTreeMap<u32, (SeatOfFan, Option<i64>)>,
    fans: BTreeMap<UserId, FanSeats>,
}

/// The reservation of a seat, and its fan.
type SeatOfFan = (ReservationId, UserId);

impl LockedPerformance {
    /// Applies locks to a venue. A lock on a slot that is no seat is ignored. The last lock on a seat counts.
    pub(crate) fn new(all_free: &[Option<SeatStatus>], locks: &[SeatLock]) -> Self {
        let mut statuses = all_free.to_vec();
        show_locks(&mut statuses, locks);
        let is_seat = |lock: &&SeatLock| all_free.get(lock.slot.0 as usize).is_some_and(Option::is_some);
        let mut owned = BTreeMap::new();
        for lock in locks.iter().filter(is_seat) {
            match lock.owner {
                SeatOwner::Holder { reservation, user, until } => {
                    owned.insert(lock.slot.0, ((reservation, user), Some(until.timestamp_millis())))
                }
                SeatOwner::Buyer { reservation, user } => owned.insert(lock.slot.0, ((reservation, user), None)),
                SeatOwner::Operators { .. } => owned.remove(&lock.slot.0),
            };
        }
        let mut fans: BTreeMap<UserId, FanSeats> = BTreeMap::new();
        for ((reservation, user), until_ms) in owned.values() {
            fans.entry(*user).or_default().add(*reservation, until_ms.is_none());
        }
        let free = statuses.iter().filter(|status| **status == Some(SeatStatus::Free)).count();
        Self { state: statuses.into_iter().map(byte).collect(), free, owned, fans }
    }

    /// The number of free seats.
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// The number of held seats.
    pub(crate) fn held(&self) -> usize {
        self.owned.values().filter(|(_, until_ms)| until_ms.is_some()).count()
    }

    /// The number of seats that are held or sold.
    pub(crate) fn owned(&self) -> usize {
        self.owned.len()
    }

    /// The number of fans who hold or have bought seats.
    pub(crate) fn fans(&self) -> usize {
        self.fans.len()
    }

    /// Stages the owners, the deadlines and the fans. Returns their temporary keys.
    pub(crate) async fn stage(&self, redis: &Redis, performance: PerformanceId) -> Result<[String; 3], Unavailable> {
        if self.owned.is_empty() {
            return Ok(redis.keys.seats_staged(performance, 0));
        }
        let load = redis.send(redis::cmd("INCR").arg(redis.keys.seats_loads(performance))).await?;
        let staged = redis.keys.seats_staged(performance, load);
        let [owners, deadlines, fans] = &staged;
        let owned: Vec<_> = self.owned.iter().collect();
        for chunk in owned.chunks(STAGED_PER_COMMAND) {
            let mut hset = redis::cmd("HSET");
            hset.arg(owners);
            let mut zadd = redis::cmd("ZADD");
            zadd.arg(deadlines);
            let mut any_held = false;
            for (slot, ((reservation, user), until_ms)) in chunk {
                hset.arg(**slot).arg(owner(*reservation, *user).as_slice());
                if let Some(until_ms) = until_ms {
                    zadd.arg(*until_ms).arg(**slot);
                    any_held = true;
                }
            }
            send_staged(redis, owners, hset).await?;
            if any_held {
                send_staged(redis, deadlines, zadd).await?;
            }
        }
        let records: Vec<_> = self.fans.iter().collect();
        for chunk in records.chunks(STAGED_PER_COMMAND) {
            let mut hset = redis::cmd("HSET");
            hset.arg(fans);
            for (user, seats) in chunk {
                hset.arg(user.0.as_bytes().as_slice()).arg(seats.record());
            }
            send_staged(redis, fans, hset).await?;
        }
        Ok(staged)
    }
}

/// Sends a command that writes to a staged key, and lets the key expire.
async fn send_staged(redis: &Redis, key: &str, command: redis::Cmd) -> Result<(), Unavailable> {
    let mut pipeline = redis::pipe();
    pipeline.add_command(command).ignore();
    pipeline.cmd("PEXPIRE").arg(key).arg(millis(STAGED_FOR)).ignore();
    redis.send_all(&pipeline).await
}
