//! How seats are held: the call is checked, an attempt of the queue token is spent, seats are locked and then claimed.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_request::{SeatRequest, check_accessible};
use encore_domain::booking::seat_state::Locker;
use encore_domain::booking::{HoldTerms, Reservation, plan_hold};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{LockTerms, PlaceRefusal};
use encore_domain::request::{Applied, RequestKey};
use encore_seat_map::{SeatMapError, Taken};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::BookingUseCases;
use crate::contexts::PerformanceContext;
use crate::error::AppError;
use crate::queue_guard::{Admission, QueuePass};
use crate::repeats::or_first_result;

/// The most attempts to choose seats, where the claims refuse the chosen seats.
const CHOICES_MAX: usize = 16;
/// How long a call waits for its turn to choose seats on the claims.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// The most attempts in that turn. Each that fails lost against a hold by another instance, so there may be many in a row.
const CLAIMABLE_CHOICES_MAX: usize = 64;
/// How often the locks may refuse seats that have no claim. After that the locks are taken to be left over.
const REFUSALS_MAX: usize = 4;
/// How long a call waits before it asks the locks again. A call in progress claims its seats within a few milliseconds.
const CLAIMED_WITHIN: Duration = Duration::from_millis(50);

/// The seats of a request that is valid.
enum Wanted {
    Named(Vec<Slot>, Orphans),
    Chosen(Search),
}

/// Seats that were locked, or the hold that the request placed before.
enum Locked<T> {
    Now(T),
    Before(Reservation),
}

/// A hold that is being made.
struct Holding<'a> {
    context: &'a PerformanceContext,
    terms: HoldTerms,
    /// The admission of the fan, if one is needed.
    admission: Option<Admission>,
    request: RequestKey,
}

impl Holding<'_> {
    fn lock_terms(&self, is_new: bool) -> LockTerms {
        let HoldTerms { id, user, expires_at, .. } = self.terms;
        let seats_per_fan = self.context.performance.seats_per_fan;
        LockTerms { reservation: id, user, seats_per_fan, until: expires_at, is_new }
    }
}

impl BookingUseCases {
    /// Holds seats, or returns the hold that the request placed before.
    pub(super) async fn hold(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        seat_request: &SeatRequest,
        request: RequestKey,
    ) -> Result<Reservation, AppError> {
        let begun = self.begin(caller, pass, context, seat_request, request).await;
        let (holding, wanted) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return or_first_result(Err(refusal), || self.reservations.find_placed(request)).await,
        };
        let held = match wanted {
            Wanted::Named(slots, orphans) => self.hold_named(&holding, &slots, orphans).await,
            Wanted::Chosen(search) => self.hold_chosen(&holding, &search).await,
        };
        let find = || async { Ok(self.reservations.find_placed(request).await?.map(Applied::Before)) };
        let held = or_first_result(held, find).await;
        if let Some(admission) = holding.admission {
            if let Err(AppError::QueueTokenEnded(reason)) = &held {
                self.guard.end(&admission, *reason).await;
            } else if !costs_an_attempt(&held) {
                self.guard.return_hold_try(&admission).await;
            }
        }
        held.map(Applied::into_inner)
    }

    /// Checks the call, and spends an attempt of its queue token. The sale comes before the token, because nobody can have
    /// a token before the sale opens. The validity of the call comes before the attempt that it costs.
    async fn begin<'a>(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &'a PerformanceContext,
        seat_request: &SeatRequest,
        request: RequestKey,
    ) -> Result<(Holding<'a>, Wanted), AppError> {
        let terms = HoldTerms::new(&context.performance, &request, self.clock.now())?;
        let admission = self.guard.authorize_sale(pass, caller, &context.performance).await?;
        let terms = terms.within(admission.map(|admission| admission.until));
        let wanted = self.wanted(context, seat_request, terms.id).await?;
        if let Some(admission) = &admission {
            self.guard.spend_hold_try(admission).await?;
        }
        Ok((Holding { context, terms, admission, request }, wanted))
    }

    async fn wanted(
        &self,
        context: &PerformanceContext,
        seat_request: &SeatRequest,
        id: ReservationId,
    ) -> Result<Wanted, AppError> {
        let chart = &context.venue.chart;
        Ok(match seat_request {
            SeatRequest::Named { seats, prevent_orphan_seats, accessible } => {
                let slots = seats.seat_slots(chart)?;
                check_accessible(chart, &slots, *accessible)?;
                let orphans = if *prevent_orphan_seats { Orphans::prevent(chart, &slots) } else { Orphans::Allow };
                Wanted::Named(slots, orphans)
            }
            SeatRequest::Best(best) => Wanted::Chosen(Search::Seats(self.searches.search(context, best).await?)),
            SeatRequest::GeneralAdmission(general_admission) => {
                Wanted::Chosen(Search::Units(general_admission.search(chart, id)?))
            }
        })
    }

    async fn hold_named(
        &self,
        holding: &Holding<'_>,
        slots: &[Slot],
        orphans: Orphans,
    ) -> Result<Applied<Reservation>, AppError> {
        let take = |terms| self.seat_map.take(holding.context, slots, orphans.clone(), terms);
        match self.lock(holding, false, take).await {
            Ok(Locked::Before(first)) => Ok(Applied::Before(first)),
            Ok(Locked::Now(Taken::Locked)) => self.place(holding, slots).await,
            Ok(Locked::Now(Taken::Claimable)) => {
                let held = self.place(holding, slots).await?;
                self.lock_later(held.get());
                Ok(held)
            }
            Err(refusal @ AppError::OverLimit { .. }) => {
                self.confirm_limit(holding, refusal).await?;
                let held = self.place(holding, slots).await?;
                self.settle_hold(held.get()).await;
                Ok(held)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses a fan whom the locks show at the limit, if the claims do too. Otherwise locks are left over from calls that failed.
    async fn confirm_limit(&self, holding: &Holding<'_>, refusal: AppError) -> Result<(), AppError> {
        let AppError::OverLimit { owned, .. } = refusal else { return Err(refusal) };
        let claimed = self.reservations.owned(holding.context.performance.id, holding.terms.user).await?;
        if claimed < owned { Ok(()) } else { Err(refusal) }
    }

    /// Locks seats with `take`. If the locks say that the call may be a repeat, it is looked up before anything is locked: a repeat
    /// never makes a seat look taken. `is_new` says that it was looked up already.
    async fn lock<T, F>(
        &self,
        holding: &Holding<'_>,
        is_new: bool,
        take: impl Fn(LockTerms) -> F,
    ) -> Result<Locked<T>, AppError>
    where
        F: Future<Output = Result<T, SeatMapError>>,
    {
        let terms = holding.lock_terms(is_new);
        match take(terms).await {
            Err(SeatMapError::MayRepeat) => {}
            taken => return Ok(Locked::Now(taken?)),
        }
        if let Some(first) = self.reservations.find_placed(holding.request).await? {
            return Ok(Locked::Before(first));
        }
        Ok(Locked::Now(take(LockTerms { is_new: true, ..terms }).await?))
    }

    /// Chooses seats or units and locks them, and then claims them. If the claims refuse them, the
    /// locks are corrected and the choice is repeated: a fan who asks for any seats is not refused because others were
    /// faster.
    async fn hold_chosen(&self, holding: &Holding<'_>, search: &Search) -> Result<Applied<Reservation>, AppError> {
        let take = |terms| self.seat_map.take_chosen(holding.context, search, terms);
        let (mut refused, mut is_new) = (0, false);
        for _ in 0..CHOICES_MAX {
            let chosen = match self.lock(holding, is_new, take).await {
                Ok(Locked::Now(Some(chosen))) => chosen,
                Ok(Locked::Now(None)) => {
                    let held = self.hold_claimable(holding, search).await?;
                    self.lock_later(held.get());
                    return Ok(held);
                }
                Ok(Locked::Before(first)) => return Ok(Applied::Before(first)),
                Err(refusal @ (AppError::NoSeatsFit { .. } | AppError::TooFewLeft { .. })) => {
                    if !self.seat_map.fits_claims(holding.context, search).await? {
                        return Err(refusal);
                    }
                    refused += 1;
                    if refused == REFUSALS_MAX {
                        return self.hold_behind_locks(holding, search).await;
                    }
                    // Calls in progress claim the seats that they have locked, or free them.
                    sleep(CLAIMED_WITHIN).await;
                    continue;
                }
                Err(refusal @ AppError::OverLimit { .. }) => {
                    self.confirm_limit(holding, refusal).await?;
                    return self.hold_behind_locks(holding, search).await;
                }
                Err(error) => return Err(error),
            };
            match self.place(holding, &chosen.slots).await {
                // A repeat would have been answered.
                Err(AppError::SeatsTaken { .. }) => is_new = true,
                placed => return placed,
            }
        }
        Err(AppError::Overloaded)
    }

    /// Holds seats whose locks are left over from calls that failed. The claims decide, and the locks are corrected.
    async fn hold_behind_locks(
        &self,
        holding: &Holding<'_>,
        search: &Search,
    ) -> Result<Applied<Reservation>, AppError> {
        let held = self.hold_claimable(holding, search).await?;
        self.settle_hold(held.get()).await;
        Ok(held)
    }

    async fn settle_hold(&self, hold: &Reservation) {
        self.settle(hold.performance, &hold.slots(), hold.id).await;
    }

    /// Locks the seats of a hold that was placed on the claims alone. The locks may have been unavailable to that call only, and show
    /// the seats as free to all others. While they are unavailable to everybody, the repair locks the seats afterwards.
    fn lock_later(&self, hold: &Reservation) {
        self.settle_later(hold.performance, &hold.slots(), hold.id);
    }

    /// Chooses on the claims while the locks are unavailable or wrong. Calls that are likely to choose the same seats, and calls
    /// whose first choice was taken, wait for their turn within this instance. A conflict with another instance repeats
    /// the choice.
    async fn hold_claimable(&self, holding: &Holding<'_>, search: &Search) -> Result<Applied<Reservation>, AppError> {
        let mut turn = None;
        for tried in 0..CLAIMABLE_CHOICES_MAX {
            if turn.is_none() && (tried > 0 || matches!(search, Search::Seats(_))) {
                turn = Some(timeout(TURN_WITHIN, self.turn.lock()).await.map_err(|_| AppError::Overloaded)?);
            }
            let slots = self.seat_map.choose_claimable(holding.context, search).await?;
            match self.place(holding, &slots).await {
                Err(AppError::SeatsTaken { .. }) => {}
                placed => return placed,
            }
        }
        Err(AppError::Overloaded)
    }

    /// Claims locked seats, and settles the locks with the claims unless the claim was placed just now.
    async fn place(&self, holding: &Holding<'_>, slots: &[Slot]) -> Result<Applied<Reservation>, AppError> {
        let Holding { context, terms, admission, request } = holding;
        let performance = &context.performance;
        let hold = plan_hold(performance, &context.venue.chart, slots, *terms)?;
        let token = admission.map(|admission| admission.payload);
        let placed = self.reservations.place(hold, performance.seats_per_fan, token, *request).await;
        match &placed {
            Ok(Applied::Now(_)) => {}
            Err(RequestError::Unavailable(_)) => self.settle_later(performance.id, slots, terms.id),
            Ok(Applied::Before(_)) | Err(RequestError::Refused(_) | RequestError::Reused) => {
                self.settle(performance.id, slots, terms.id).await;
            }
        }
        placed.map_err(|error| match error {
            RequestError::Refused(PlaceRefusal::SeatsTaken { slots }) => {
                AppError::SeatsTaken { seat_ids: context.seat_ids(&slots), version: None, alternatives: vec![] }
            }
            RequestError::Refused(PlaceRefusal::OverLimit { limit, owned }) => AppError::OverLimit { limit, owned },
            RequestError::Refused(PlaceRefusal::TokenEnded(reason)) => AppError::QueueTokenEnded(reason),
            RequestError::Reused => AppError::RequestReused,
            RequestError::Unavailable(unavailable) => unavailable.into(),
        })
    }

    /// Sets the locks to match the claims. The locks were taken for a refused claim, or belong to an earlier call of
    /// the same request.
    pub(super) async fn settle(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        if let Err(unavailable) = self.seat_map.settle(performance, slots, Locker::Fan(owner)).await {
            warn!(
                error = &unavailable as &dyn std::error::Error,
                "seat locks could not be settled; they differ from the claims until the next sweep"
            );
        }
    }

    /// Makes the locks of these seats agree with their claims. The caller does not wait, because locks or claims are likely to be
    /// unavailable. The repair does it if this fails, or if too many wait for it already.
    fn settle_later(&self, performance: PerformanceId, slots: &[Slot], owner: ReservationId) {
        let Ok(permit) = Arc::clone(&self.settling).try_acquire_owned() else { return };
        let (booking, slots) = (self.clone(), slots.to_vec());
        tokio::spawn(async move {
            booking.settle(performance, &slots, owner).await;
            drop(permit);
        });
    }
}

/// Whether an attempt to hold seats counts against the limit of its queue token. The limit is there against endless
/// attempts, so one for seats that cannot be had counts. A repeat, a call that is refused for what it says and an outage
/// do not.
fn costs_an_attempt(held: &Result<Applied<Reservation>, AppError>) -> bool {
    match held {
        Ok(Applied::Now(_)) => true,
        Ok(Applied::Before(_)) => false,
        Err(refusal) => matches!(
            refusal,
            AppError::SeatsTaken { .. }
                | AppError::WouldOrphanSeats { .. }
                | AppError::NoSeatsFit { .. }
                | AppError::TooFewLeft { .. }
                | AppError::OverLimit { .. }
        ),
    }
}
