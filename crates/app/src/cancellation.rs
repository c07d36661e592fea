//! Cancelling paid seats.

use std::sync::Arc;

use encore_domain::audit_log::StaffCall;
use encore_domain::booking::{Reservation, SeatSelection};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{AuditEntryId, RefundId, ReservationId};
use encore_domain::payment::refund::{
    CancelPlan, CancelRefusal, CancellationPolicy, Cancelled, CancelledBy, OperatorReason, Refund,
};
use encore_domain::ports::{Clock, Ids, Refunds, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_seat_map::SeatMap;

use crate::booking::ReservationView;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result;
use crate::wallet::transfer_ids;

/// What [`CancellationUseCases`] is made of.
pub struct CancellationParts {
    /// The refunds.
    pub refunds: Arc<dyn Refunds>,
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Lets fans pass who hold an active token, where cancelling is guarded.
    pub guard: QueueGuard,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases that cancel paid seats and give the money back.
#[derive(Clone)]
pub struct CancellationUseCases {
    refunds: Arc<dyn Refunds>,
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    guard: QueueGuard,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    policy: CancellationPolicy,
}

/// A cancellation, with the performance of its seats.
#[derive(Clone, Debug)]
pub struct CancelledView {
    /// The reservation as the cancellation left it.
    pub reservation: ReservationView,
    /// The refund.
    pub refund: Refund,
}

impl CancellationUseCases {
    /// The use cases over their ports, with the default policy.
    pub fn new(parts: CancellationParts) -> Self {
        let CancellationParts { refunds, reservations, contexts, seat_map, guard, clock, ids } = parts;
        Self { refunds, reservations, contexts, seat_map, guard, clock, ids, policy: CancellationPolicy::default() }
    }

    /// The same use cases with this policy.
    pub fn with_policy(self, policy: CancellationPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Cancels all or some seats of a paid reservation of the caller, until some time before the show, or without a fee because it was
    /// postponed. Idempotent: a repeated request returns the first result, although it is too late by now.
    pub async fn cancel(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        seats: Option<&SeatSelection>,
        request: RequestKey,
    ) -> Result<CancelledView, AppError> {
        let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
        let reservation = found.ok_or_else(|| AppError::not_found("reservation", id))?;
        // The start and the right to a full refund are not read from a copy.
        let context = self.contexts.fresh_context(reservation.performance).await?;
        let cancelled = self.cancel_as_fan(caller, pass, &context, &reservation, seats, request).await;
        let cancelled = or_first_result(cancelled, || self.refunds.find_cancelled(request)).await?;
        Ok(in_context(cancelled, context))
    }

    async fn cancel_as_fan(
        &self,
        caller: Caller,
        pass: &QueuePass,
        context: &PerformanceContext,
        reservation: &Reservation,
        seats: Option<&SeatSelection>,
        request: RequestKey,
    ) -> Result<Cancelled, AppError> {
        self.guard.authorize(pass, caller, &context.performance).await?;
        let policy = self.policy.for_fan(&context.performance, reservation.held_at, self.clock.now())?;
        let slots = seats.map(|seats| seats.slots(&context.venue.chart)).transpose()?;
        self.apply(context, self.plan(reservation.id, slots, policy, CancelledBy::Fan), request).await
    }

    /// Cancels all seats of any paid reservation without a fee, at any time, for an operator.
    pub async fn cancel_for_operator(
        &self,
        call: StaffCall,
        id: ReservationId,
        reason: OperatorReason,
        request: RequestKey,
    ) -> Result<CancelledView, AppError> {
        let reservation = self.reservations.find(id).await?.ok_or_else(|| AppError::not_found("reservation", id))?;
        let context = self.contexts.context(reservation.performance).await?;
        let free = CancellationPolicy { fee_percent: 0, ..self.policy };
        let act = call.act(AuditEntryId(self.ids.next()), self.clock.now(), Some(reason.as_str()));
        let plan = self.plan(id, None, free, CancelledBy::Operator(call.caller.user, reason));
        let plan = CancelPlan { act: Some(act), ..plan };
        let cancelled = self.apply(&context, plan, request).await?;
        Ok(in_context(cancelled, context))
    }

    fn plan(
        &self,
        reservation: ReservationId,
        slots: Option<Vec<Slot>>,
        policy: CancellationPolicy,
        by: CancelledBy,
    ) -> CancelPlan {
        let transfers = [(); 2].map(|()| transfer_ids(&*self.ids));
        let refund = RefundId(self.ids.next());
        CancelPlan { reservation, slots, refund, transfers, policy, by, act: None, at: self.clock.now() }
    }

    /// Commits a cancellation, and then frees the seats in the locks.
    async fn apply(
        &self,
        context: &PerformanceContext,
        plan: CancelPlan,
        request: RequestKey,
    ) -> Result<Cancelled, AppError> {
        let cancelled = match self.refunds.cancel(plan, request).await {
            Err(RequestError::Refused(CancelRefusal::NotItsSeats { slots })) => {
                return Err(AppError::NotFound { kind: "reserved_seat", ids: context.seat_ids(&slots) });
            }
            other => other?,
        };
        if let Applied::Now(Cancelled { reservation, refund }) = &cancelled {
            self.seat_map.release_sold(reservation.performance, &refund.slots, reservation.id, reservation.user).await;
        }
        Ok(cancelled.into_inner())
    }
}

fn in_context(Cancelled { reservation, refund }: Cancelled, context: PerformanceContext) -> CancelledView {
    CancelledView { reservation: ReservationView { reservation, context }, refund }
}
