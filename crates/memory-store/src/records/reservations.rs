use std::collections::{BTreeMap, BTreeSet, HashMap};

use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::payment::Payment;
use encore_domain::ports::PlaceRefusal;
use encore_domain::time::Timestamp;

#[derive(Default)]
pub struct ReservationRecords {
    pub reservations: HashMap<ReservationId, Reservation>,
    pub by_user: HashMap<UserId, BTreeSet<ReservationCursor>>,
    /// The holds that no sweep has ended, by deadline.
    pub held: BTreeSet<(Timestamp, ReservationId)>,
    pub claims: HashMap<PerformanceId, BTreeMap<Slot, Claim>>,
    /// How many claims a fan has, held plus sold.
    owned: HashMap<(PerformanceId, UserId), u32>,
}

impl ReservationRecords {
    pub fn find(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    pub fn check(&self, hold: &Reservation, limit: u32) -> Result<(), PlaceRefusal> {
        let claims = self.claims.get(&hold.performance);
        let taken = |slot: &Slot| claims.is_some_and(|claims| claims.contains_key(slot));
        let slots: Vec<Slot> = hold.slots().into_iter().filter(taken).collect();
        if !slots.is_empty() {
            return Err(PlaceRefusal::SeatsTaken { slots });
        }
        let owned = self.owned_by(hold.performance, hold.user);
        if owned.saturating_add(seat_count(hold)) > limit {
            Err(PlaceRefusal::OverLimit { limit, owned })
        } else {
            Ok(())
        }
    }

    /// How many seats a fan holds or has bought.
    pub fn owned_by(&self, performance: PerformanceId, user: UserId) -> u32 {
        self.owned.get(&(performance, user)).copied().unwrap_or(0)
    }

    pub fn insert(&mut self, hold: &Reservation) {
        let claim = |slot| Claim::held(slot, hold.id, hold.user, hold.expires_at);
        let claims = hold.slots().into_iter().map(|slot| (slot, claim(slot)));
        self.claims.entry(hold.performance).or_default().extend(claims);
        *self.owned.entry((hold.performance, hold.user)).or_default() += seat_count(hold);
        self.held.insert((hold.expires_at, hold.id));
        self.by_user.entry(hold.user).or_default().insert(hold.cursor());
        self.reservations.insert(hold.id, hold.clone());
    }

    /// Ends a hold that is not paid: its seats can be claimed again.
    pub fn end_unpaid(&mut self, id: ReservationId, state: ReservationState, now: Timestamp) -> Option<Reservation> {
        let reservation = self.reservations.get_mut(&id)?;
        reservation.state = state;
        reservation.settled_at = Some(now);
        self.held.remove(&(reservation.expires_at, id));
        let claims = self.claims.entry(reservation.performance).or_default();
        for seat in &reservation.seats {
            claims.remove(&seat.slot);
        }
        let owned = self.owned.entry((reservation.performance, reservation.user)).or_default();
        *owned = owned.saturating_sub(seat_count(reservation));
        Some(reservation.clone())
    }

    /// Writes a hold that its fan has changed: seats that it has no more can be claimed again.
    pub fn change(&mut self, changed: &Reservation) {
        let Some(before) = self.reservations.insert(changed.id, changed.clone()) else { return };
        self.held.remove(&(before.expires_at, before.id));
        if changed.state == ReservationState::Held {
            self.held.insert((changed.expires_at, changed.id));
        }
        let claims = self.claims.entry(changed.performance).or_default();
        for seat in &before.seats {
            claims.remove(&seat.slot);
        }
        let claim = |slot| (slot, Claim::held(slot, changed.id, changed.user, changed.expires_at));
        claims.extend(changed.slots().into_iter().map(claim));
        let owned = self.owned.entry((changed.performance, changed.user)).or_default();
        *owned = owned.saturating_sub(seat_count(&before)) + seat_count(changed);
    }

    /// The holds of a fan in a performance that are live at `now`.
    pub fn live_holds(&self, user: UserId, performance: PerformanceId, now: Timestamp) -> Vec<&Reservation> {
        self.of_fan(user, performance).filter(|it| it.state_at(now) == ReservationState::Held).collect()
    }

    fn of_fan(&self, user: UserId, performance: PerformanceId) -> impl Iterator<Item = &Reservation> {
        let of_user = self.by_user.get(&user).into_iter().flatten().filter_map(|(_, id)| self.find(*id));
        of_user.filter(move |it| it.performance == performance)
    }

    /// Whether the fan of this hold has another one of the same performance that is live or being paid.
    pub fn has_another_hold(&self, hold: &Reservation, now: Timestamp) -> bool {
        let is_live = |it: &Reservation| matches!(it.state_at(now), ReservationState::Held | ReservationState::Paying);
        self.of_fan(hold.user, hold.performance).any(|other| other.id != hold.id && is_live(other))
    }

    /// Confirms a hold that can be paid: its seats are the fan's.
    pub fn confirm(&mut self, payment: &Payment) -> Option<Reservation> {
        let held = self.find(payment.reservation)?;
        let (state, settled_at) = (ReservationState::Confirmed, Some(payment.paid_at));
        let sold = Reservation { state, settled_at, payment: Some(payment.id), ..held.clone() };
        self.sell(&sold);
        Some(sold)
    }

    /// Writes a reservation that is confirmed now.
    pub fn sell(&mut self, sold: &Reservation) {
        self.held.remove(&(sold.expires_at, sold.id));
        let claims = self.claims.entry(sold.performance).or_default();
        claims.extend(sold.slots().into_iter().map(|slot| (slot, Claim::sold(slot, sold.id, sold.user))));
        self.reservations.insert(sold.id, sold.clone());
    }

    /// Counts the seats of an expired reservation as the fan's again.
    pub fn own_again(&mut self, reservation: &Reservation) {
        *self.owned.entry((reservation.performance, reservation.user)).or_default() += seat_count(reservation);
    }

    /// Writes a reservation some of whose paid seats were cancelled: these can be claimed again.
    pub fn cancel(&mut self, after: &Reservation, cancelled: &[Slot]) {
        let claims = self.claims.entry(after.performance).or_default();
        for slot in cancelled {
            claims.remove(slot);
        }
        let owned = self.owned.entry((after.performance, after.user)).or_default();
        *owned = owned.saturating_sub(u32::try_from(cancelled.len()).unwrap_or(u32::MAX));
        self.reservations.insert(after.id, after.clone());
    }
}

fn seat_count(reservation: &Reservation) -> u32 {
    u32::try_from(reservation.seats.len()).unwrap_or(u32::MAX)
}
