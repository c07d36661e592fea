use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::booking::hold_change::{ExtendRefusal, Extension, give_back};
use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::Payment;
use encore_domain::ports::{PlaceRefusal, ReleaseRefusal, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::paging::{below, rows};
use crate::records::{MemoryRecords, Records};

/// The answer to a change of a hold. Its type distinguishes it from the answer to placing the hold.
#[derive(Clone)]
pub struct Changed(pub Reservation);

/// [`Reservations`] in process.
pub struct MemoryReservations(MemoryRecords);

#[derive(Default)]
pub struct ReservationRecords {
    pub reservations: HashMap<ReservationId, Reservation>,
    by_user: HashMap<UserId, BTreeSet<ReservationCursor>>,
    /// The holds in state held, by deadline.
    held: BTreeSet<(Timestamp, ReservationId)>,
    pub claims: HashMap<PerformanceId, BTreeMap<Slot, Claim>>,
    /// The number of claims of each fan, held plus sold.
    owned: HashMap<(PerformanceId, UserId), u32>,
}

impl ReservationRecords {
    pub fn find(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    fn check(&self, hold: &Reservation, limit: u32) -> Result<(), PlaceRefusal> {
        let claims = self.claims.get(&hold.performance);
        let taken = |slot: &Slot| claims.is_some_and(|claims| claims.contains_key(slot));
        let slots: Vec<Slot> = hold.slots().into_iter().filter(taken).collect();
        if !slots.is_empty() {
            return Err(PlaceRefusal::SeatsTaken { slots });
        }
        let owned = self.owned.get(&(hold.performance, hold.user)).copied().unwrap_or(0);
        if owned.saturating_add(seat_count(hold)) > limit {
            Err(PlaceRefusal::OverLimit { limit, owned })
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, hold: &Reservation) {
        let claim = |slot| Claim::held(slot, hold.id, hold.expires_at);
        let claims = hold.slots().into_iter().map(|slot| (slot, claim(slot)));
        self.claims.entry(hold.performance).or_default().extend(claims);
        *self.owned.entry((hold.performance, hold.user)).or_default() += seat_count(hold);
        self.held.insert((hold.expires_at, hold.id));
        self.by_user.entry(hold.user).or_default().insert(hold.cursor());
        self.reservations.insert(hold.id, hold.clone());
    }

    /// Ends an unpaid hold and deletes its claims.
    fn end_unpaid(&mut self, id: ReservationId, state: ReservationState, now: Timestamp) -> Option<Reservation> {
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

    /// Writes a hold that its fan has changed, and deletes the claims on the seats that were given back.
    fn change(&mut self, changed: &Reservation) {
        let Some(before) = self.reservations.insert(changed.id, changed.clone()) else { return };
        self.held.remove(&(before.expires_at, before.id));
        self.held.insert((changed.expires_at, changed.id));
        let claims = self.claims.entry(changed.performance).or_default();
        for seat in &before.seats {
            claims.remove(&seat.slot);
        }
        let claim = |slot| (slot, Claim::held(slot, changed.id, changed.expires_at));
        claims.extend(changed.slots().into_iter().map(claim));
        let owned = self.owned.entry((changed.performance, changed.user)).or_default();
        *owned = owned.saturating_sub(seat_count(&before)) + seat_count(changed);
    }

    /// Confirms a hold that was checked before. Its claims become sold.
    pub fn confirm(&mut self, payment: &Payment) -> Option<Reservation> {
        let reservation = self.reservations.get_mut(&payment.reservation)?;
        reservation.state = ReservationState::Confirmed;
        reservation.settled_at = Some(payment.paid_at);
        reservation.payment = Some(payment.id);
        self.held.remove(&(reservation.expires_at, reservation.id));
        let claims = self.claims.entry(reservation.performance).or_default();
        for seat in &reservation.seats {
            claims.insert(seat.slot, Claim::sold(seat.slot, reservation.id));
        }
        Some(reservation.clone())
    }
}

fn seat_count(reservation: &Reservation) -> u32 {
    u32::try_from(reservation.seats.len()).unwrap_or(u32::MAX)
}

impl MemoryReservations {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Reservations for MemoryReservations {
    async fn place(
        &self,
        hold: Reservation,
        seats_per_fan: u32,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, PortError<PlaceRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        reservations.check(&hold, seats_per_fan).map_err(PortError::Refused)?;
        reservations.insert(&hold);
        outbox.write(&Event::HoldPlaced(hold.clone()));
        requests.remember(Some(request), hold.clone());
        Ok(Applied::Now(hold))
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, PortError<ReleaseRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let state = reservations.find(id).map(|reservation| reservation.state_at(now));
        if let Some(state) = state.filter(|state| *state != ReservationState::Held) {
            return Err(PortError::Refused(ReleaseRefusal::NotHeld { state }));
        }
        let released = reservations.end_unpaid(id, ReservationState::Released, now).ok_or_else(unknown_reservation)?;
        outbox.write(&Event::HoldReleased(released.clone()));
        requests.remember(request, Changed(released.clone()));
        Ok(Applied::Now(released))
    }

    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, PortError<ReleaseRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let hold = reservations.find(id).ok_or_else(unknown_reservation)?;
        let left = give_back(hold, slots, now).map_err(PortError::Refused)?;
        if left.state == ReservationState::Released {
            reservations.end_unpaid(id, ReservationState::Released, now);
            outbox.write(&Event::HoldReleased(left.clone()));
        } else {
            reservations.change(&left);
            outbox.write(&Event::HoldChanged { hold: left.clone(), at: now });
        }
        requests.remember(request, Changed(left.clone()));
        Ok(Applied::Now(left))
    }

    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, PortError<ExtendRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let hold = reservations.find(id).ok_or_else(unknown_reservation)?;
        let extended = extension.of(hold, now).map_err(PortError::Refused)?;
        reservations.change(&extended);
        outbox.write(&Event::HoldChanged { hold: extended.clone(), at: now });
        requests.remember(Some(request), Changed(extended.clone()));
        Ok(Applied::Now(extended))
    }

    async fn find_extended(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>> {
        let extended = self.0.lock().requests.before(Some(request))?;
        Ok(extended.map(|Changed(extended)| extended))
    }

    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable> {
        let Records { reservations, outbox, .. } = &mut *self.0.lock();
        let due = reservations.held.range(..=(now, ReservationId(Uuid::max()))).take(limit as usize);
        let due: Vec<ReservationId> = due.map(|(_, id)| *id).collect();
        let expire = |id| reservations.end_unpaid(id, ReservationState::Expired, now);
        let expired: Vec<Reservation> = due.into_iter().filter_map(expire).collect();
        for reservation in &expired {
            outbox.write(&Event::HoldExpired(reservation.clone()));
        }
        Ok(expired)
    }

    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable> {
        Ok(self.0.lock().reservations.find(id).cloned())
    }

    async fn list(
        &self,
        user: UserId,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let reservations = &self.0.lock().reservations;
        let newest = reservations.by_user.get(&user).into_iter().flat_map(|of_user| of_user.range(below(&page)).rev());
        let found = newest.take(rows(&page)).filter_map(|(_, id)| reservations.find(*id).cloned()).collect();
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
    }

    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable> {
        let claims = &self.0.lock().reservations.claims;
        Ok(claims.get(&performance).into_iter().flat_map(BTreeMap::values).copied().collect())
    }

    async fn claims_on(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<Claim>, Unavailable> {
        let slots: BTreeSet<Slot> = slots.iter().copied().collect();
        let claims = &self.0.lock().reservations.claims;
        let of_performance = claims.get(&performance);
        Ok(slots.iter().filter_map(|slot| of_performance?.get(slot).copied()).collect())
    }
}

/// The error for a reservation that does not exist. Callers pass ids of existing reservations, and none is ever deleted.
pub fn unknown_reservation() -> Unavailable {
    Unavailable::of("the reservation")
}
