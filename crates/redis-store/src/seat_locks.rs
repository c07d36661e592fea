use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::best_available::SeatSearch;
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner, SeatState, SeatStatus, SeatStock, StockAt};
use encore_domain::booking::unit_search::UnitSearch;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{ChooseRefusal, LockTerms, SeatLocks, TakeRefusal, TakenSeats};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::connection::Redis;
use crate::reply::{millis, timestamp, unexpected};
use crate::seat_fans::owner;
use crate::seat_lock_scripts::{LOAD, MARK, MAY_LOAD, OVERDUE, RELEASE, TAKE, TAKE_BEST, TAKE_UNITS, UNBLOCK};
use crate::seat_search_arguments::{packed, packed_distances, ways};
use crate::staged_locks::LockedPerformance;
use crate::{seat_bytes, seat_fans};

/// The most seats that one run of a script releases or marks. More seats take several runs.
const SEATS_PER_SCRIPT: usize = 1_000;
/// The most overdue seats that one call returns, whatever its limit.
const OVERDUE_MAX: u32 = 1_000;
/// The most performances whose seats are counted with one pipeline.
const COUNTS_PER_PIPELINE: usize = 1_000;

/// How long the seats that were chosen for an owner are remembered, so that a retry receives the same seats while the
/// first call is in progress. It is longer than a call may take. After the call, the claims tell which seats they are.
const CHOICE_REMEMBERED: Duration = Duration::from_mins(1);

/// What the scripts reply in place of a refusal: the fan gets the seats.
const GRANTED: i64 = -1;
/// The refusal of a call that may be a repeat. Other refusals are the number of seats that the fan has.
const MAY_REPEAT: i64 = -2;

/// [`SeatLocks`] as one string per performance, one hash of owners, and one sorted set of deadlines.
#[derive(Clone)]
pub struct RedisSeatLocks {
    redis: Redis,
}

impl RedisSeatLocks {
    /// Stores seat states in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Runs `take_best.lua`. Returns none if Redis does not have the distances.
    async fn try_take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        terms: &LockTerms,
    ) -> Result<Option<TakenSeats>, PortError<ChooseRefusal>> {
        let mut take = TAKE_BEST.prepare_invoke();
        for key in self.redis.keys.seats_chosen_for(performance, terms.reservation) {
            take.key(key);
        }
        take.arg(owner(terms.reservation, terms.user).as_slice()).arg(terms.until.timestamp_millis());
        take.arg(millis(CHOICE_REMEMBERED)).arg(terms.seats_per_fan).arg(u8::from(terms.is_new)).arg(ways(search));
        for section in &search.order.sections {
            take.arg(packed(section));
        }
        match self.redis.run::<Option<(i64, Vec<u32>, i64)>>(&take).await? {
            None => Err(PortError::Refused(ChooseRefusal::NotLoaded)),
            Some((_, _, refusal)) if refusal != GRANTED => Err(not_chosen(refusal)),
            Some((version, slots, _)) => match u64::try_from(version) {
                Err(_) => Ok(None),
                Ok(version) if slots.is_empty() => Err(PortError::Refused(ChooseRefusal::NoneFits { version })),
                Ok(version) => Ok(Some(TakenSeats { slots: slots.into_iter().map(Slot).collect(), version })),
            },
        }
    }

    /// Runs `take_best.lua`, and writes the distances of the seats first if Redis does not have them.
    async fn take_best(
        &self,
        performance: PerformanceId,
        search: &SeatSearch,
        terms: &LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        if let Some(taken) = self.try_take_best(performance, search, terms).await? {
            return Ok(taken);
        }
        let key = self.redis.keys.seats_distances(performance);
        self.redis.send::<()>(redis::cmd("SET").arg(key).arg(packed_distances(&search.order))).await?;
        let taken = self.try_take_best(performance, search, terms).await?;
        taken.ok_or_else(|| {
            unexpected("the distances of the seats were deleted as soon as they were written".to_owned()).into()
        })
    }

    /// Runs `take_units.lua`.
    async fn take_units(
        &self,
        performance: PerformanceId,
        search: &UnitSearch,
        terms: &LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        let mut take = TAKE_UNITS.prepare_invoke();
        for key in self.redis.keys.units_chosen_for(performance, terms.reservation) {
            take.key(key);
        }
        take.arg(owner(terms.reservation, terms.user).as_slice()).arg(terms.until.timestamp_millis());
        take.arg(millis(CHOICE_REMEMBERED)).arg(terms.seats_per_fan).arg(u8::from(terms.is_new));
        take.arg(search.count).arg(search.first.0).arg(search.capacity).arg(search.from.0);
        match self.redis.run::<Option<(u64, Vec<u32>, u32, i64)>>(&take).await? {
            None => Err(PortError::Refused(ChooseRefusal::NotLoaded)),
            Some((_, _, _, refusal)) if refusal != GRANTED => Err(not_chosen(refusal)),
            Some((version, slots, left, _)) if slots.is_empty() => {
                Err(PortError::Refused(ChooseRefusal::TooFewLeft { left, version }))
            }
            Some((version, slots, _, _)) => Ok(TakenSeats { slots: slots.into_iter().map(Slot).collect(), version }),
        }
    }
}

#[async_trait]
impl SeatLocks for RedisSeatLocks {
    async fn load(
        &self,
        performance: PerformanceId,
        all_free: &[Option<SeatStatus>],
        locks: &[SeatLock],
        version: u64,
    ) -> Result<(), Unavailable> {
        let locked = LockedPerformance::new(all_free, locks);
        let staged = locked.stage(&self.redis, performance).await?;
        let mut load = LOAD.prepare_invoke();
        load.key(&self.redis.keys.seats(performance)).key(&staged).key(self.redis.keys.seats_loading(performance));
        load.arg(locked.state.as_slice()).arg(locked.free()).arg(locked.held()).arg(version);
        load.arg(locked.owned()).arg(locked.fans());
        match self.redis.run::<i64>(&load).await? {
            0 | 1 => Ok(()),
            _ => Err(unexpected("the load took so long that its staged keys expired".to_owned())),
        }
    }

    async fn may_load(
        &self,
        performance: PerformanceId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Unavailable> {
        let mut may_load = MAY_LOAD.prepare_invoke();
        may_load.key(self.redis.keys.seats_loading(performance));
        may_load.arg(now.timestamp_millis()).arg(until.timestamp_millis());
        self.redis.run(&may_load).await
    }

    async fn take(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        orphans: Orphans,
        terms: LockTerms,
    ) -> Result<u64, PortError<TakeRefusal>> {
        let mut slots: Vec<u32> = slots.iter().map(|slot| slot.0).collect();
        slots.sort_unstable();
        slots.dedup();
        let accessible: Option<Vec<u32>> = match orphans {
            Orphans::Allow => None,
            Orphans::Prevent { accessible } => Some(accessible.iter().map(|slot| slot.0).collect()),
        };
        let mut take = TAKE.prepare_invoke();
        take.key(&self.redis.keys.seats(performance));
        take.arg(owner(terms.reservation, terms.user).as_slice()).arg(terms.until.timestamp_millis());
        take.arg(terms.seats_per_fan).arg(u8::from(terms.is_new)).arg(u8::from(accessible.is_some()));
        take.arg(slots.len()).arg(slots).arg(accessible.unwrap_or_default());
        let to_slots = |slots: Vec<u32>| slots.into_iter().map(Slot).collect();
        match self.redis.run::<Option<(u64, Vec<u32>, Vec<u32>, i64)>>(&take).await? {
            None => Err(PortError::Refused(TakeRefusal::NotLoaded)),
            Some((_, _, _, MAY_REPEAT)) => Err(PortError::Refused(TakeRefusal::MayRepeat)),
            Some((_, _, _, refusal)) if refusal != GRANTED => {
                Err(PortError::Refused(TakeRefusal::OverLimit { owned: seats(refusal) }))
            }
            Some((version, taken, _, _)) if !taken.is_empty() => {
                Err(PortError::Refused(TakeRefusal::Taken { slots: to_slots(taken), version }))
            }
            Some((_, _, orphans, _)) if !orphans.is_empty() => {
                Err(PortError::Refused(TakeRefusal::WouldOrphan { slots: to_slots(orphans) }))
            }
            Some((version, _, _, _)) => Ok(version),
        }
    }

    async fn take_chosen(
        &self,
        performance: PerformanceId,
        search: &Search,
        terms: LockTerms,
    ) -> Result<TakenSeats, PortError<ChooseRefusal>> {
        match search {
            Search::Seats(search) => self.take_best(performance, search, &terms).await,
            Search::Units(search) => self.take_units(performance, search, &terms).await,
        }
    }

    async fn release(
        &self,
        performance: PerformanceId,
        slots: &[Slot],
        owner: ReservationId,
    ) -> Result<Option<u64>, Unavailable> {
        let mut version = None;
        for chunk in slots.chunks(SEATS_PER_SCRIPT) {
            let mut release = RELEASE.prepare_invoke();
            release.key(&self.redis.keys.seats(performance)).arg(owner.0.as_bytes().as_slice());
            for slot in chunk {
                release.arg(slot.0);
            }
            version = self.redis.run(&release).await?;
        }
        Ok(version)
    }

    async fn unblock(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Option<u64>, Unavailable> {
        let mut version = None;
        for chunk in slots.chunks(SEATS_PER_SCRIPT) {
            let mut unblock = UNBLOCK.prepare_invoke();
            unblock.key(self.redis.keys.seats_state(performance)).key(self.redis.keys.seats_about(performance));
            for slot in chunk {
                unblock.arg(slot.0);
            }
            version = self.redis.run(&unblock).await?;
        }
        Ok(version)
    }

    async fn mark(&self, performance: PerformanceId, locks: &[SeatLock]) -> Result<Option<u64>, Unavailable> {
        let mut version = None;
        for chunk in locks.chunks(SEATS_PER_SCRIPT) {
            let mut mark = MARK.prepare_invoke();
            mark.key(&self.redis.keys.seats(performance));
            for lock in chunk {
                mark.arg(lock.slot.0);
                match lock.owner {
                    SeatOwner::Holder { reservation, user, until } => {
                        mark.arg(owner(reservation, user).as_slice()).arg(until.timestamp_millis())
                    }
                    SeatOwner::Buyer { reservation, user } => mark.arg(owner(reservation, user).as_slice()).arg("s"),
                    SeatOwner::Operators { .. } => mark.arg("").arg("b"),
                };
            }
            version = self.redis.run(&mark).await?;
        }
        Ok(version)
    }

    async fn holders(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<SeatLock>, Unavailable> {
        let mut slots: Vec<u32> = slots.iter().map(|slot| slot.0).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut holders = Vec::new();
        for chunk in slots.chunks(SEATS_PER_SCRIPT) {
            let mut both = redis::pipe();
            both.atomic().cmd("HMGET").arg(self.redis.keys.seats_owners(performance)).arg(chunk);
            both.cmd("ZMSCORE").arg(self.redis.keys.seats_deadlines(performance)).arg(chunk);
            let (owners, deadlines): (Vec<Option<Vec<u8>>>, Vec<Option<i64>>) = self.redis.send_all(&both).await?;
            for (slot, (owner, until_ms)) in chunk.iter().zip(owners.iter().zip(deadlines)) {
                if let (Some(owner), Some(until_ms)) = (owner, until_ms) {
                    holders.push(held_seat(*slot, owner, until_ms)?);
                }
            }
        }
        Ok(holders)
    }

    async fn bought(&self, performance: PerformanceId, users: &[UserId]) -> Result<Vec<u32>, Unavailable> {
        let mut bought = Vec::with_capacity(users.len());
        for chunk in users.chunks(SEATS_PER_SCRIPT) {
            let mut records = redis::cmd("HMGET");
            records.arg(self.redis.keys.seats_fans(performance));
            for user in chunk {
                records.arg(user.0.as_bytes().as_slice());
            }
            let records: Vec<Option<Vec<u8>>> = self.redis.send(&records).await?;
            bought.extend(records.iter().map(|record| record.as_deref().map_or(0, seat_fans::bought)));
        }
        Ok(bought)
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<SeatState>, Unavailable> {
        let mut both = redis::pipe();
        both.atomic().get(self.redis.keys.seats_state(performance));
        both.hget(self.redis.keys.seats_about(performance), "version");
        let (bytes, version): (Option<Vec<u8>>, Option<u64>) = self.redis.send_all(&both).await?;
        Ok(bytes.zip(version).map(|(bytes, version)| {
            let statuses = bytes.into_iter().map(seat_bytes::status).collect();
            SeatState { statuses, version }
        }))
    }

    async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<Option<StockAt>>, Unavailable> {
        let mut stock = Vec::with_capacity(performances.len());
        for chunk in performances.chunks(COUNTS_PER_PIPELINE) {
            let mut pipeline = redis::pipe();
            for performance in chunk {
                pipeline.hmget(self.redis.keys.seats_about(*performance), &["version", "free", "held"]);
            }
            let counts: Vec<(Option<u64>, Option<u32>, Option<u32>)> = self.redis.send_all(&pipeline).await?;
            stock.extend(counts.into_iter().map(|(version, free, held)| {
                Some(StockAt { version: version?, stock: SeatStock { free: free?, held: held? } })
            }));
        }
        Ok(stock)
    }

    async fn overdue(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SeatLock>, Unavailable> {
        let keys = &self.redis.keys;
        let mut overdue = OVERDUE.prepare_invoke();
        overdue.key(keys.seats_owners(performance)).key(keys.seats_deadlines(performance));
        overdue.arg(before.timestamp_millis()).arg(limit.min(OVERDUE_MAX));
        let seats: Vec<(u32, Vec<u8>, i64)> = self.redis.run(&overdue).await?;
        seats.into_iter().map(|(slot, owner, until_ms)| held_seat(slot, &owner, until_ms)).collect()
    }
}

/// The refusal of a call that chooses seats.
fn not_chosen(refusal: i64) -> PortError<ChooseRefusal> {
    PortError::Refused(match refusal {
        MAY_REPEAT => ChooseRefusal::MayRepeat,
        owned => ChooseRefusal::OverLimit { owned: seats(owned) },
    })
}

/// The number of seats in a refusal.
fn seats(refusal: i64) -> u32 {
    u32::try_from(refusal).unwrap_or(u32::MAX)
}

fn held_seat(slot: u32, owner: &[u8], until_ms: i64) -> Result<SeatLock, Unavailable> {
    let id = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|error| Unavailable::new("redis", error));
    let (reservation, user) = owner.split_at_checked(16).unwrap_or((owner, &[]));
    Ok(SeatLock::held(Slot(slot), ReservationId(id(reservation)?), UserId(id(user)?), timestamp(until_ms)))
}
