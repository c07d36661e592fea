use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::best_available::SeatSearch;
use encore_domain::booking::seat_state::{
    CHANGE_SEATS_MAX, SeatChange, SeatLock, SeatNews, SeatOwner, SeatState, SeatStatus, SeatStock, StockAt,
};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{ReservationId, UserId};
use encore_domain::ports::{ChooseRefusal, LockTerms, TakeRefusal, TakenSeats};
use encore_domain::time::Timestamp;

use crate::seat_fans::{FanRefusal, SeatFans};

/// The seats of one performance: the state string, and the owners of the seats that are not free.
pub struct Seats {
    state: SeatState,
    locks: HashMap<Slot, SeatLock>,
    held: BTreeSet<(Timestamp, Slot)>,
    /// The held seats of each owner.
    held_by: HashMap<ReservationId, BTreeSet<Slot>>,
    fans: SeatFans,
    free: u32,
    /// The seats that the change in progress has written, with their bytes from before it.
    changed: BTreeMap<Slot, SeatStatus>,
    /// What is to be told.
    news: Option<SeatNews>,
}

impl Seats {
    pub fn new(all_free: &[Option<SeatStatus>], locks: &[SeatLock], version: u64) -> Self {
        let state = SeatState { statuses: all_free.to_vec(), version };
        let free = state.stock().free;
        let (held, changed) = (BTreeSet::new(), BTreeMap::new());
        let (locks_by_slot, held_by, fans) = (HashMap::new(), HashMap::new(), SeatFans::default());
        let mut seats = Self { state, locks: locks_by_slot, held, held_by, fans, free, changed, news: None };
        seats.mark(locks);
        Self { state: SeatState { version, ..seats.state }, news: None, ..seats }
    }

    pub fn state(&self) -> &SeatState {
        &self.state
    }

    pub fn stock(&self) -> StockAt {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        StockAt { version: self.state.version, stock: SeatStock { free: self.free, held } }
    }

    /// Takes the last change, if a seat changed.
    pub fn take_news(&mut self) -> Option<SeatNews> {
        self.news.take()
    }

    /// Holds seats if all of them are free, or extends the holds if this owner holds all of them. Otherwise refuses
    /// with the taken seats, or by what the fan has. If orphan seats are to be prevented, refuses with the seats that would be
    /// orphans.
    pub fn take(&mut self, slots: &[Slot], orphans: &Orphans, terms: &LockTerms) -> Result<u64, TakeRefusal> {
        let own = slots.iter().all(|slot| self.is_held_by(*slot, terms.reservation));
        let mut taken: Vec<Slot> =
            slots.iter().copied().filter(|slot| self.status(*slot) != Some(SeatStatus::Free)).collect();
        if !own && !taken.is_empty() {
            taken.sort_unstable();
            return Err(TakeRefusal::Taken { slots: taken, version: self.state.version });
        }
        if !own {
            let alone = orphans.left_by(&self.state.statuses, slots);
            if !alone.is_empty() {
                return Err(TakeRefusal::WouldOrphan { slots: alone });
            }
            self.fans.check(slots.len(), terms).map_err(|refusal| match refusal {
                FanRefusal::OverLimit { owned } => TakeRefusal::OverLimit { owned },
                FanRefusal::MayRepeat => TakeRefusal::MayRepeat,
            })?;
        }
        Ok(self.hold(slots, terms))
    }

    fn hold(&mut self, slots: &[Slot], LockTerms { reservation, user, until, .. }: &LockTerms) -> u64 {
        let locks: Vec<SeatLock> =
            slots.iter().map(|slot| SeatLock::held(*slot, *reservation, *user, *until)).collect();
        self.mark(&locks)
    }

    /// Holds the best free seats of a search, or the seats that were chosen for this owner before.
    pub fn take_best(&mut self, search: &SeatSearch, terms: &LockTerms) -> Result<TakenSeats, ChooseRefusal> {
        if let Some(own) = self.own(terms.reservation, |own| search.could_choose(own)) {
            return Ok(self.hold_chosen(own, terms));
        }
        self.check_chooser(search.count, terms)?;
        let version = self.state.version;
        let slots = search.choose(&self.state.statuses).ok_or(ChooseRefusal::NoneFits { version })?;
        Ok(self.hold_chosen(slots, terms))
    }

    /// Holds the first free units of a search, or the units that were chosen for this owner before.
    pub fn take_units(&mut self, search: &UnitSearch, terms: &LockTerms) -> Result<TakenSeats, ChooseRefusal> {
        if let Some(own) = self.own(terms.reservation, |own| search.could_choose(own)) {
            return Ok(self.hold_chosen(own, terms));
        }
        self.check_chooser(search.count, terms)?;
        let version = self.state.version;
        let slots = search.choose(&self.state.statuses);
        let slots = slots.map_err(|TooFewLeft { left }| ChooseRefusal::TooFewLeft { left, version })?;
        Ok(self.hold_chosen(slots, terms))
    }

    fn check_chooser(&self, wanted: usize, terms: &LockTerms) -> Result<(), ChooseRefusal> {
        self.fans.check(wanted, terms).map_err(|refusal| match refusal {
            FanRefusal::OverLimit { owned } => ChooseRefusal::OverLimit { owned },
            FanRefusal::MayRepeat => ChooseRefusal::MayRepeat,
        })
    }

    /// The seats that this owner holds, if they satisfy the search.
    fn own(&self, owner: ReservationId, fits: impl Fn(&[Slot]) -> bool) -> Option<Vec<Slot>> {
        let own: Vec<Slot> = self.held_by.get(&owner)?.iter().copied().collect();
        Some(own).filter(|own| fits(own))
    }

    fn hold_chosen(&mut self, slots: Vec<Slot>, terms: &LockTerms) -> TakenSeats {
        let version = self.hold(&slots, terms);
        TakenSeats { slots, version }
    }

    /// How many seats a fan has bought.
    pub fn bought(&self, user: UserId) -> u32 {
        self.fans.bought(user)
    }

    /// Frees those of these seats that this owner holds. Returns the version.
    pub fn release(&mut self, slots: &[Slot], owner: ReservationId) -> u64 {
        for slot in slots {
            if self.is_held_by(*slot, owner) {
                self.set(*slot, None);
            }
        }
        self.finish()
    }

    /// Frees those of these seats that are blocked. Returns the version.
    pub fn unblock(&mut self, slots: &[Slot]) -> u64 {
        for slot in slots {
            if self.status(*slot) == Some(SeatStatus::Blocked) {
                self.set(*slot, None);
            }
        }
        self.finish()
    }

    /// Sets seats to these locks, whatever their state was. Returns the version.
    pub fn mark(&mut self, locks: &[SeatLock]) -> u64 {
        for lock in locks {
            if self.status(lock.slot).is_some() {
                self.set(lock.slot, Some(*lock));
            }
        }
        self.finish()
    }

    /// Ends a change. If the byte of a seat differs, increments the version and stores the change for publication.
    fn finish(&mut self) -> u64 {
        let changed = std::mem::take(&mut self.changed);
        let now = |(slot, before)| Some((slot, self.status(slot)?)).filter(|(_, now)| *now != before);
        let seats: Vec<(Slot, SeatStatus)> = changed.into_iter().filter_map(now).collect();
        if !seats.is_empty() {
            self.state.version += 1;
            let lists_seats = seats.len() <= CHANGE_SEATS_MAX;
            let change = SeatChange { version: self.state.version, seats };
            self.news = Some(if lists_seats { SeatNews::Changed(change) } else { SeatNews::Missed });
        }
        self.state.version
    }

    /// Held seats whose deadline is at or before a time, oldest first.
    pub fn overdue(&self, before: Timestamp, limit: u32) -> Vec<SeatLock> {
        let due = self.held.range(..=(before, Slot(u32::MAX))).take(limit as usize);
        due.filter_map(|(_, slot)| self.locks.get(slot).copied()).collect()
    }

    /// The locks of the held ones of these seats.
    pub fn holders(&self, slots: &[Slot]) -> Vec<SeatLock> {
        let mut holders: Vec<SeatLock> = slots
            .iter()
            .filter_map(|slot| self.locks.get(slot))
            .filter(|lock| lock.owner.held_until().is_some())
            .copied()
            .collect();
        holders.sort_unstable_by_key(|lock| lock.slot);
        holders
    }

    fn status(&self, slot: Slot) -> Option<SeatStatus> {
        self.state.status(slot)
    }

    fn is_held_by(&self, slot: Slot, owner: ReservationId) -> bool {
        let held_by =
            |lock: &SeatLock| matches!(lock.owner, SeatOwner::Holder { reservation, .. } if reservation == owner);
        self.locks.get(&slot).is_some_and(held_by)
    }

    /// Sets a slot that is a seat: its byte, owner and deadline, and the number of free seats.
    fn set(&mut self, slot: Slot, lock: Option<SeatLock>) {
        let before = match lock {
            Some(lock) => self.locks.insert(slot, lock),
            None => self.locks.remove(&slot),
        };
        if let Some(before) = before {
            self.fans.remove(before.owner);
        }
        if let Some(lock) = lock {
            self.fans.add(lock.owner);
        }
        if let Some(SeatLock { owner: SeatOwner::Holder { reservation, until, .. }, .. }) = before {
            self.held.remove(&(until, slot));
            if let Entry::Occupied(mut own) = self.held_by.entry(reservation) {
                own.get_mut().remove(&slot);
                if own.get().is_empty() {
                    own.remove();
                }
            }
        }
        if let Some(SeatLock { owner: SeatOwner::Holder { reservation, until, .. }, .. }) = lock {
            self.held.insert((until, slot));
            self.held_by.entry(reservation).or_default().insert(slot);
        }
        self.free = self.free + u32::from(before.is_some()) - u32::from(lock.is_some());
        let now = lock.map_or(SeatStatus::Free, |lock| lock.owner.status());
        if let Some(was) = self.state.statuses[slot.0 as usize].replace(now) {
            self.changed.entry(slot).or_insert(was);
        }
    }
}
