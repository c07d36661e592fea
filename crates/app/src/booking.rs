//! Holding seats and releasing them.

mod alternatives;
mod holding;
mod searches;

use std::sync::Arc;

use encore_domain::booking::hold_change::{Extension, ReleaseRefusal};
use encore_domain::booking::seat_request::SeatRequest;
use encore_domain::booking::{Reservation, ReservationCursor, ReservationFilter, ReservationState, SeatSelection};
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_seat_map::SeatMap;
use tokio::sync::{Mutex, Semaphore};

use self::alternatives::SeatAlternatives;
use self::searches::SeatSearches;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result_of;

/// How many holds that could not be placed are settled at once: while all fail, most are left to the repair.
const SETTLED_AT_ONCE: usize = 8;

/// A reservation with its performance, concert and venue.
#[derive(Clone, Debug)]
pub struct ReservationView {
    /// The reservation, with its state at the time of the call.
    pub reservation: Reservation,
    /// The performance with its concert and venue.
    pub context: PerformanceContext,
}

impl ReservationView {
    /// These reservations with their states at `now`.
    pub(crate) async fn all(
        contexts: &PerformanceContexts,
        reservations: Vec<Reservation>,
        now: Timestamp,
    ) -> Result<Vec<Self>, AppError> {
        let contexts = contexts.contexts(reservations.iter().map(|reservation| reservation.performance)).await?;
        let views = reservations.into_iter().filter_map(|mut reservation| {
            reservation.state = reservation.state_at(now);
            let context = contexts.get(&reservation.performance)?.clone();
            Some(Self { reservation, context })
        });
        Ok(views.collect())
    }
}

/// What [`BookingUseCases`] is made of.
pub struct BookingParts {
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Lets fans pass who hold an active token.
    pub guard: QueueGuard,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The use cases of `BookingService`.
#[derive(Clone)]
pub struct BookingUseCases {
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    searches: SeatSearches,
    alternatives: SeatAlternatives,
    guard: QueueGuard,
    clock: Arc<dyn Clock>,
    turn: Arc<Mutex<()>>,
    /// Limits how many holds that could not be placed are settled at once.
    settling: Arc<Semaphore>,
}

impl BookingUseCases {
    /// The use cases over their ports.
    pub fn new(parts: BookingParts) -> Self {
        let BookingParts { reservations, contexts, seat_map, guard, clock } = parts;
        let (searches, alternatives) = (SeatSearches::default(), SeatAlternatives::new(seat_map.clone()));
        let (turn, settling) = (Arc::default(), Arc::new(Semaphore::new(SETTLED_AT_ONCE)));
        Self { reservations, contexts, seat_map, searches, alternatives, guard, clock, turn, settling }
    }

    /// Holds seats for a fan, all or none. Idempotent: a repeated request returns its hold even if the call would be
    /// refused now, because the sale has closed, the token was used or the seats are taken by this hold.
    pub async fn hold_seats(
        &self,
        caller: Caller,
        pass: &QueuePass,
        performance: PerformanceId,
        seat_request: &SeatRequest,
        request: RequestKey,
    ) -> Result<ReservationView, AppError> {
        let context = self.contexts.context(performance).await?;
        match self.hold(caller, pass, &context, seat_request, request).await {
            Ok(reservation) => Ok(ReservationView { reservation, context }),
            // Boxed, because it is rare and takes more than all the rest.
            Err(refusal) => Err(Box::pin(self.with_alternatives(&context, seat_request, refusal)).await),
        }
    }

    /// Adds alternative seats to the refusal of taken seats.
    async fn with_alternatives(
        &self,
        context: &PerformanceContext,
        seat_request: &SeatRequest,
        refusal: AppError,
    ) -> AppError {
        match (refusal, seat_request) {
            (AppError::SeatsTaken { seat_ids, version, .. }, SeatRequest::Named { seats, .. }) => {
                let wanted = seats.slots(&context.venue.chart).unwrap_or_default();
                let alternatives = self.alternatives.instead_of(context, &wanted).await;
                let version = version.or(alternatives.version);
                AppError::SeatsTaken { seat_ids, version, alternatives: alternatives.blocks.clone() }
            }
            (refusal, _) => refusal,
        }
    }

    /// Releases some seats of a live hold. The hold ends with its last seat. Idempotent, as [`Self::extend_hold`] is.
    pub async fn release_seats(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        seats: &SeatSelection,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let hold = self.own(caller, id).await?;
        let context = self.contexts.context(hold.performance).await?;
        let left = self.give_back(caller, pass, &context, &hold, seats, request).await;
        self.changed(left, context, request).await
    }

    async fn give_back(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        hold: &Reservation,
        seats: &SeatSelection,
        request: Option<RequestKey>,
    ) -> Result<Reservation, AppError> {
        self.guard.authorize(pass, caller, &context.performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let left = match self.reservations.release_seats(hold.id, &slots, self.clock.now(), request).await {
            Err(RequestError::Refused(ReleaseRefusal::NotItsSeats { slots })) => {
                return Err(AppError::NotFound { kind: "reserved_seat", ids: context.seat_ids(&slots) });
            }
            other => other?,
        };
        if matches!(left, Applied::Now(_)) {
            self.seat_map.release(hold.performance, &slots, hold.id).await;
        }
        Ok(left.into_inner())
    }

    /// Extends a live hold, as far as its performance and the fan's queue token allow. Idempotent: a repeated request
    /// returns its result even if the token has been used since.
    pub async fn extend_hold(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        request: RequestKey,
    ) -> Result<ReservationView, AppError> {
        let hold = self.own(caller, id).await?;
        let context = self.contexts.context(hold.performance).await?;
        let extended = self.extend(caller, pass, &context, &hold, request).await;
        self.changed(extended, context, Some(request)).await
    }

    async fn extend(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        hold: &Reservation,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let performance = &context.performance;
        let admission = self.guard.authorize(pass, caller, performance).await?;
        let token_until = admission.map(|admission| admission.until);
        let extension = Extension { hold_for: performance.hold_for, starts_at: performance.starts_at, token_until };
        let extended = self.reservations.extend(hold.id, extension, self.clock.now(), request).await?;
        if let Applied::Now(extended) = &extended {
            self.settle(hold.performance, &extended.slots(), hold.id).await;
        }
        Ok(extended.into_inner())
    }

    /// Releases all seats of a live hold. Idempotent, as [`Self::extend_hold`] is.
    pub async fn release_hold(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let hold = self.own(caller, id).await?;
        let context = self.contexts.context(hold.performance).await?;
        let released = self.release(caller, pass, &context, id, request).await;
        self.changed(released, context, request).await
    }

    async fn release(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        id: ReservationId,
        request: Option<RequestKey>,
    ) -> Result<Reservation, AppError> {
        self.guard.authorize(pass, caller, &context.performance).await?;
        let released = self.reservations.release(id, self.clock.now(), request).await?;
        if let Applied::Now(reservation) = &released {
            self.seat_map.release(reservation.performance, &reservation.slots(), id).await;
        }
        Ok(released.into_inner())
    }

    /// The result of a change of a hold, or the first result of its request.
    async fn changed(
        &self,
        outcome: Result<Reservation, AppError>,
        context: PerformanceContext,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let find = |request| self.reservations.find_changed(request);
        let reservation = or_first_result_of(request, outcome, find).await?;
        Ok(ReservationView { reservation, context })
    }

    /// One reservation of the caller.
    pub async fn get_reservation(&self, caller: Caller, id: ReservationId) -> Result<ReservationView, AppError> {
        let mut reservation = self.own(caller, id).await?;
        reservation.state = reservation.state_at(self.clock.now());
        let context = self.contexts.context(reservation.performance).await?;
        Ok(ReservationView { reservation, context })
    }

    /// A user's reservations in these states, newest first; in any state if there are none.
    pub async fn list_reservations(
        &self,
        user: UserId,
        states: Vec<ReservationState>,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<ReservationView, ReservationCursor>, AppError> {
        let now = self.clock.now();
        let filter = ReservationFilter { states, now };
        let Page { items, next } = self.reservations.list(user, &filter, page).await?;
        Ok(Page { items: ReservationView::all(&self.contexts, items, now).await?, next })
    }

    async fn own(&self, caller: Caller, id: ReservationId) -> Result<Reservation, AppError> {
        let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
        found.ok_or_else(|| AppError::not_found("reservation", id))
    }
}
