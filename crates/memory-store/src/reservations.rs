use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal, give_back};
use encore_domain::booking::seat_state::SeatOwner;
use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationFilter, ReservationState, SoldSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{PlaceRefusal, Reservations};
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::paging::{above, below, rows};
use crate::records::{MemoryRecords, Records};

/// The answer to a change of a hold. Its type distinguishes it from the answer to placing the hold.
#[derive(Clone)]
pub struct Changed(pub Reservation);

/// [`Reservations`] in process.
pub struct MemoryReservations(MemoryRecords);

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
        token: Option<QueueTokenPayload>,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<PlaceRefusal>> {
        let Records { reservations, ended_tokens, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        if let Some(reason) = token.and_then(|token| ended_tokens.find(&token)) {
            return Err(RequestError::Refused(PlaceRefusal::TokenEnded(reason)));
        }
        if reservations.find(hold.id).is_some() {
            // Its id follows from the request, which was forgotten.
            return Err(RequestError::Reused);
        }
        reservations.check(&hold, seats_per_fan).map_err(RequestError::Refused)?;
        reservations.insert(&hold);
        outbox.write(&Event::HoldPlaced(hold.clone()));
        requests.remember_of_hold(Some(request), hold.id, hold.held_at, hold.clone());
        Ok(Applied::Now(hold))
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let state = reservations.find(id).map(|reservation| reservation.state_at(now));
        if let Some(state) = state.filter(|state| *state != ReservationState::Held) {
            return Err(RequestError::Refused(ReleaseRefusal::NotHeld { state }));
        }
        let released = reservations.end_unpaid(id, ReservationState::Released, now).ok_or_else(unknown_reservation)?;
        outbox.write(&Event::HoldReleased(released.clone()));
        requests.remember_of_hold(request, id, now, Changed(released.clone()));
        Ok(Applied::Now(released))
    }

    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let hold = reservations.find(id).ok_or_else(unknown_reservation)?;
        let left = give_back(hold, slots, now).map_err(RequestError::Refused)?;
        if left.state == ReservationState::Released {
            reservations.end_unpaid(id, ReservationState::Released, now);
            outbox.write(&Event::HoldReleased(left.clone()));
        } else {
            reservations.change(&left);
            let mut released = slots.to_vec();
            released.sort_unstable();
            outbox.write(&Event::HoldChanged { hold: left.clone(), released, at: now });
        }
        requests.remember_of_hold(request, id, now, Changed(left.clone()));
        Ok(Applied::Now(left))
    }

    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<ExtendRefusal>> {
        let Records { reservations, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let hold = reservations.find(id).ok_or_else(unknown_reservation)?;
        let extended = extension.of(hold, now).map_err(RequestError::Refused)?;
        reservations.change(&extended);
        outbox.write(&Event::HoldChanged { hold: extended.clone(), released: Vec::new(), at: now });
        requests.remember_of_hold(Some(request), id, now, Changed(extended.clone()));
        Ok(Applied::Now(extended))
    }

    async fn find_changed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>> {
        let changed = self.0.lock().requests.before(Some(request))?;
        Ok(changed.map(|Changed(changed)| changed))
    }

    async fn leave(&self, token: QueueTokenPayload, now: Timestamp) -> Result<Vec<Reservation>, Unavailable> {
        let Records { reservations, ended_tokens, outbox, .. } = &mut *self.0.lock();
        if !ended_tokens.insert(&token, EndReason::Left) {
            return Ok(Vec::new());
        }
        let live = reservations.live_holds(token.user, token.performance, now);
        let live: Vec<ReservationId> = live.into_iter().map(|hold| hold.id).collect();
        let release = |id| reservations.end_unpaid(id, ReservationState::Released, now);
        let released: Vec<Reservation> = live.into_iter().filter_map(release).collect();
        for hold in &released {
            outbox.write(&Event::HoldReleased(hold.clone()));
        }
        Ok(released)
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
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let reservations = &self.0.lock().reservations;
        let newest = reservations.by_user.get(&user).into_iter().flat_map(|of_user| of_user.range(below(&page)).rev());
        let admitted = newest.filter_map(|(_, id)| reservations.find(*id)).filter(|found| filter.admits(found));
        let found = admitted.take(rows(&page)).cloned().collect();
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
    }

    async fn sold_seats(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<SoldSeat, Slot>, Unavailable> {
        let reservations = &self.0.lock().reservations;
        let claims = reservations.claims.get(&performance).into_iter().flat_map(|claims| claims.range(above(&page)));
        let sold = claims.filter_map(|(slot, claim)| {
            let SeatOwner::Buyer { reservation, user } = claim.owner else { return None };
            let bought = reservations.find(reservation)?;
            let seat = bought.seats.iter().find(|seat| seat.slot == *slot)?;
            let (slot, price_minor) = (*slot, seat.price_minor);
            Some(SoldSeat { slot, reservation, user, confirmed_at: bought.settled_at?, price_minor })
        });
        Ok(Page::from_rows(sold.take(rows(&page)).collect(), page.size, |seat| seat.slot))
    }

    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable> {
        let claims = &self.0.lock().reservations.claims;
        Ok(claims.get(&performance).into_iter().flat_map(BTreeMap::values).copied().collect())
    }

    async fn owned(&self, performance: PerformanceId, user: UserId) -> Result<u32, Unavailable> {
        Ok(self.0.lock().reservations.owned_by(performance, user))
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
