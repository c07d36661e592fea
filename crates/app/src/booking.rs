//! Holding seats and releasing them.

mod alternatives;
mod searches;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::hold_change::{Extension, ReleaseRefusal};
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_request::{SeatRequest, check_accessible};
use encore_domain::booking::seat_state::Locker;
use encore_domain::booking::{HoldTerms, Reservation, ReservationCursor, SeatSelection, plan_hold};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, PlaceRefusal, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_seat_map::{SeatMap, SeatMapError};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::warn;

use self::alternatives::SeatAlternatives;
use self::searches::SeatSearches;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};

/// The most attempts to choose seats, where the claims refuse the chosen seats.
const CHOICES_MAX: usize = 16;
/// How long a call waits for its turn to choose seats on the claims.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// How often the locks may refuse seats that have no claim. After that the locks are taken to be left over.
const REFUSALS_MAX: usize = 4;
/// How long a call waits before it asks the locks again. A call in progress claims its seats within a few milliseconds.
const CLAIMED_WITHIN: Duration = Duration::from_millis(50);
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
        let reservation = match self.hold(caller, pass, &context, seat_request, request).await {
            Err(refusal) if refusal.may_hide_a_repeat() => match self.reservations.find_placed(request).await? {
                Some(placed) => placed,
                None => return Err(self.with_alternatives(&context, seat_request, refusal).await),
            },
            other => other?,
        };
        Ok(ReservationView { reservation, context })
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

    async fn hold(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        seat_request: &SeatRequest,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let admitted_until = self.guard.authorize(pass, caller, &context.performance).await?;
        self.guard.spend_hold_try(pass, caller, &context.performance).await?;
        let terms = HoldTerms::new(&context.performance, &request, admitted_until, self.clock.now())?;
        match seat_request {
            SeatRequest::Named { seats, prevent_orphan_seats, accessible } => {
                let slots = seats.seat_slots(&context.venue.chart)?;
                check_accessible(&context.venue.chart, &slots, *accessible)?;
                let orphans = if *prevent_orphan_seats { Orphans::Prevent } else { Orphans::Allow };
                self.hold_named(context, &slots, orphans, terms, request).await
            }
            SeatRequest::Best(best) => {
                let search = Search::Seats(self.searches.search(context, best).await?);
                self.hold_chosen(context, &search, terms, request).await
            }
            SeatRequest::GeneralAdmission(general_admission) => {
                let search = Search::Units(general_admission.search(&context.venue.chart, terms.id)?);
                self.hold_chosen(context, &search, terms, request).await
            }
        }
    }

    async fn hold_named(
        &self,
        context: &PerformanceContext,
        slots: &[Slot],
        orphans: Orphans,
        terms: HoldTerms,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        self.seat_map.take(context, slots, orphans, terms.id, terms.expires_at).await?;
        self.place(context, slots, terms, request).await
    }

    /// Chooses seats or units and locks them in one atomic step, and then claims them. If the claims refuse them, the
    /// locks are corrected and the choice is repeated: a fan who asks for any seats is not refused because others were
    /// faster.
    async fn hold_chosen(
        &self,
        context: &PerformanceContext,
        search: &Search,
        terms: HoldTerms,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let mut refused = 0;
        for _ in 0..CHOICES_MAX {
            let slots = match self.seat_map.take_chosen(context, search, terms.id, terms.expires_at).await {
                Ok(Some(slots)) => slots,
                Ok(None) => return self.hold_claimable(context, search, terms, request).await,
                Err(refusal @ (SeatMapError::NoneFits { .. } | SeatMapError::TooFewLeft { .. })) => {
                    if !self.seat_map.fits_claims(context, search).await? {
                        return Err(refusal.into());
                    }
                    refused += 1;
                    if refused == REFUSALS_MAX {
                        return self.hold_behind_locks(context, search, terms, request).await;
                    }
                    // Calls in progress claim the seats that they have locked, or free them.
                    sleep(CLAIMED_WITHIN).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match self.place(context, &slots, terms, request).await {
                Err(AppError::SeatsTaken { .. }) => {}
                placed => return placed,
            }
        }
        Err(AppError::Overloaded)
    }

    /// Holds seats whose locks are left over from calls that failed. The claims decide, and the locks are corrected.
    async fn hold_behind_locks(
        &self,
        context: &PerformanceContext,
        search: &Search,
        terms: HoldTerms,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let held = self.hold_claimable(context, search, terms, request).await?;
        self.settle(held.performance, &held.slots(), held.id).await;
        Ok(held)
    }

    /// Chooses on the claims while the locks are unavailable or wrong. Calls that are likely to choose the same seats, and calls
    /// whose first choice was taken, wait for their turn within this instance. A conflict with another instance repeats
    /// the choice.
    async fn hold_claimable(
        &self,
        context: &PerformanceContext,
        search: &Search,
        terms: HoldTerms,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let mut turn = None;
        for tried in 0..CHOICES_MAX {
            if turn.is_none() && (tried > 0 || matches!(search, Search::Seats(_))) {
                turn = Some(timeout(TURN_WITHIN, self.turn.lock()).await.map_err(|_| AppError::Overloaded)?);
            }
            let slots = self.seat_map.choose_claimable(context, search).await?;
            match self.place(context, &slots, terms, request).await {
                Err(AppError::SeatsTaken { .. }) => {}
                placed => return placed,
            }
        }
        Err(AppError::Overloaded)
    }

    /// Claims locked seats, and settles the locks with the claims unless the claim was placed just now.
    async fn place(
        &self,
        context: &PerformanceContext,
        slots: &[Slot],
        terms: HoldTerms,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let performance = &context.performance;
        let hold = plan_hold(performance, &context.venue.chart, slots, terms)?;
        let placed = self.reservations.place(hold, performance.seats_per_fan, request).await;
        match &placed {
            Ok(Applied::Now(_)) => {}
            Err(RequestError::Unavailable(_)) => self.settle_later(performance.id, slots, terms.id),
            Ok(Applied::Before(_)) | Err(RequestError::Refused(_) | RequestError::Reused) => {
                self.settle(performance.id, slots, terms.id).await;
            }
        }
        match placed {
            Ok(applied) => Ok(applied.into_inner()),
            Err(RequestError::Refused(PlaceRefusal::SeatsTaken { slots })) => {
                let seat_ids = context.seat_ids(&slots);
                Err(AppError::SeatsTaken { seat_ids, version: None, alternatives: vec![] })
            }
            Err(RequestError::Refused(PlaceRefusal::OverLimit { limit, owned })) => {
                Err(AppError::OverLimit { limit, owned })
            }
            Err(RequestError::Reused) => Err(AppError::RequestReused),
            Err(RequestError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// Sets the locks to match the claims. The locks were taken for a refused claim, or belong to an earlier call of
    /// the same request.
    async fn settle(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(unavailable) = self.seat_map.settle(performance, slots, Locker::Fan(owner)).await {
            warn!(
                error = &unavailable as &dyn std::error::Error,
                "seat locks could not be settled; they differ from the claims until the next sweep"
            );
        }
    }

    /// Frees the locks of a hold that could not be placed, unless it was placed after all. The caller does not wait, because the
    /// claims are likely to be unavailable; then the repair frees them.
    fn settle_later(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        let Ok(permit) = Arc::clone(&self.settling).try_acquire_owned() else { return };
        let (booking, slots) = (self.clone(), slots.to_vec());
        tokio::spawn(async move {
            booking.settle(performance, &slots, owner).await;
            drop(permit);
        });
    }

    /// Releases some seats of a live hold. The hold ends with its last seat.
    pub async fn release_seats(
        &self,
        caller: Caller,
        id: ReservationId,
        seats: &SeatSelection,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let reservation = self.own(caller, id).await?;
        let context = self.contexts.context(reservation.performance).await?;
        let slots = seats.slots(&context.venue.chart)?;
        let left = match self.reservations.release_seats(id, &slots, self.clock.now(), request).await {
            Err(RequestError::Refused(ReleaseRefusal::NotItsSeats { slots })) => {
                return Err(AppError::NotFound { kind: "reserved_seat", ids: context.seat_ids(&slots) });
            }
            other => other?,
        };
        if matches!(left, Applied::Now(_)) {
            self.seat_map.release(reservation.performance, &slots, id).await;
        }
        Ok(ReservationView { reservation: left.into_inner(), context })
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
        let reservation = match self.extend(caller, pass, &context, &hold, request).await {
            Err(refusal) if refusal.may_hide_a_repeat() => {
                self.reservations.find_extended(request).await?.ok_or(refusal)?
            }
            other => other?,
        };
        Ok(ReservationView { reservation, context })
    }

    async fn extend(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        hold: &Reservation,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let token_until = self.guard.authorize(pass, caller, &context.performance).await?;
        let extension = Extension { hold_for: context.performance.hold_for, token_until };
        let extended = self.reservations.extend(hold.id, extension, self.clock.now(), request).await?;
        if let Applied::Now(extended) = &extended {
            self.settle(hold.performance, &extended.slots(), hold.id).await;
        }
        Ok(extended.into_inner())
    }

    /// Releases all seats of a live hold.
    pub async fn release_hold(
        &self,
        caller: Caller,
        id: ReservationId,
        request: Option<RequestKey>,
    ) -> Result<ReservationView, AppError> {
        let reservation = self.own(caller, id).await?;
        let context = self.contexts.context(reservation.performance).await?;
        let released = self.reservations.release(id, self.clock.now(), request).await?;
        if let Applied::Now(reservation) = &released {
            self.seat_map.release(reservation.performance, &reservation.slots(), id).await;
        }
        Ok(ReservationView { reservation: released.into_inner(), context })
    }

    /// One reservation of the caller.
    pub async fn get_reservation(&self, caller: Caller, id: ReservationId) -> Result<ReservationView, AppError> {
        let mut reservation = self.own(caller, id).await?;
        reservation.state = reservation.state_at(self.clock.now());
        let context = self.contexts.context(reservation.performance).await?;
        Ok(ReservationView { reservation, context })
    }

    /// The caller's reservations, newest first.
    pub async fn list_reservations(
        &self,
        caller: Caller,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<ReservationView, ReservationCursor>, AppError> {
        let now = self.clock.now();
        let Page { items, next } = self.reservations.list(caller.user, page).await?;
        let contexts = self.contexts.contexts(items.iter().map(|reservation| reservation.performance)).await?;
        let views = items.into_iter().filter_map(|mut reservation| {
            reservation.state = reservation.state_at(now);
            let context = contexts.get(&reservation.performance)?.clone();
            Some(ReservationView { reservation, context })
        });
        Ok(Page { items: views.collect(), next })
    }

    async fn own(&self, caller: Caller, id: ReservationId) -> Result<Reservation, AppError> {
        let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
        found.ok_or_else(|| AppError::not_found("reservation", id))
    }
}
