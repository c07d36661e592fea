//! Holding seats and giving them back.

use std::sync::Arc;

use encore_domain::booking::{Reservation, ReservationCursor, SeatSelection, plan_hold, reservation_id};
use encore_domain::error::PortError;
use encore_domain::identity::Caller;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, PlaceRefusal, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::seat_chart::Slot;
use tracing::warn;

use crate::error::AppError;
use crate::halls::{Hall, Halls};
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::seat_map::{SeatMap, seats_taken};

/// A reservation with what a fan wants to read beside it.
#[derive(Clone, Debug)]
pub struct ReservationView {
    /// Its state is the state at the time of the call.
    pub reservation: Reservation,
    /// The performance with its concert and venue.
    pub hall: Hall,
}

/// The use cases of `BookingService`.
#[derive(Clone)]
pub struct BookingUseCases {
    reservations: Arc<dyn Reservations>,
    halls: Halls,
    seat_map: SeatMap,
    guard: QueueGuard,
    clock: Arc<dyn Clock>,
}

impl BookingUseCases {
    /// Puts the use cases on their ports.
    pub fn new(
        reservations: Arc<dyn Reservations>,
        halls: Halls,
        seat_map: SeatMap,
        guard: QueueGuard,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reservations, halls, seat_map, guard, clock }
    }

    /// Holds seats for a fan, all or none. Whatever refuses a repeat now (the sale closed, the token used, the seats
    /// taken, by this very hold), what the request did before is answered again.
    pub async fn hold_seats(
        &self,
        caller: Caller,
        pass: &QueuePass,
        performance: PerformanceId,
        selection: &SeatSelection,
        request: RequestKey,
    ) -> Result<ReservationView, AppError> {
        let hall = self.halls.hall(performance).await?;
        let reservation = match self.hold(caller, pass, &hall, selection, request).await {
            Err(refusal) if refusal.may_hide_a_repeat() => {
                self.reservations.find_placed(request).await?.ok_or(refusal)?
            }
            other => other?,
        };
        Ok(ReservationView { reservation, hall })
    }

    async fn hold(
        &self,
        caller: Caller,
        pass: &QueuePass,
        hall: &Hall,
        selection: &SeatSelection,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let performance = &hall.performance;
        let admitted_until = self.guard.admit(pass, caller, performance).await?;
        let id = reservation_id(&request);
        let mut hold = plan_hold(performance, &hall.venue.chart, selection, caller.user, id, self.clock.now())?;
        hold.end_by(admitted_until);
        let slots = hold.slots();
        self.seat_map.take(hall, &slots, id, hold.expires_at).await?;
        let placed = self.reservations.place(hold, performance.seats_per_fan, request).await;
        if !matches!(placed, Ok(Applied::Now(_)) | Err(PortError::Unavailable(_))) {
            self.settle(performance.id, &slots, id).await;
        }
        match placed {
            Ok(applied) => Ok(applied.into_inner()),
            Err(PortError::Refused(PlaceRefusal::SeatsTaken { slots })) => Err(seats_taken(hall, &slots)),
            Err(PortError::Refused(PlaceRefusal::OverLimit { limit, owned })) => {
                Err(AppError::OverLimit { limit, owned })
            }
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => Err(weather.into()),
        }
    }

    /// The locks that were taken are for nothing, or belong to an earlier call of the same request: the claims know.
    async fn settle(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(weather) = self.seat_map.settle(performance, slots, owner).await {
            warn!(error = &weather as &dyn std::error::Error, "seat locks differ from the claims until a sweep");
        }
    }

    /// Gives back the seats of a live hold.
    pub async fn release_hold(
        &self,
        caller: Caller,
        id: ReservationId,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let reservation = self.own(caller, id).await?;
        let hall = self.halls.hall(reservation.performance).await?;
        let released = self.reservations.release(id, self.clock.now(), request).await?;
        if let Applied::Now(reservation) = &released {
            self.seat_map.release(reservation.performance, &reservation.slots(), id).await;
        }
        Ok(ReservationView { reservation: released.into_inner(), hall })
    }

    /// One reservation of the caller.
    pub async fn get_reservation(&self, caller: Caller, id: ReservationId) -> Result<ReservationView, AppError> {
        let mut reservation = self.own(caller, id).await?;
        reservation.state = reservation.state_at(self.clock.now());
        let hall = self.halls.hall(reservation.performance).await?;
        Ok(ReservationView { reservation, hall })
    }

    /// The caller's reservations, newest first.
    pub async fn list_reservations(
        &self,
        caller: Caller,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<ReservationView, ReservationCursor>, AppError> {
        let now = self.clock.now();
        let Page { items, next } = self.reservations.list(caller.user, page).await?;
        let halls = self.halls.halls(items.iter().map(|reservation| reservation.performance)).await?;
        let views = items.into_iter().filter_map(|mut reservation| {
            reservation.state = reservation.state_at(now);
            let hall = halls.get(&reservation.performance)?.clone();
            Some(ReservationView { reservation, hall })
        });
        Ok(Page { items: views.collect(), next })
    }

    async fn own(&self, caller: Caller, id: ReservationId) -> Result<Reservation, AppError> {
        let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
        found.ok_or_else(|| AppError::not_found("reservation", id))
    }
}
