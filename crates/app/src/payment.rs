//! Payment of holds.

use std::sync::{Arc, Mutex, PoisonError};

use encore_domain::booking::Reservation;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{PaymentId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::{Paid, PayRefusal, Settlement, check_payable, plan_wallet_payment};
use encore_domain::ports::{Clock, Ids, Payments, Reservations};
use encore_domain::queue::EndReason;
use encore_domain::request::{Applied, RequestKey};
use encore_seat_map::SeatMap;
use encore_waiting_room::WaitingRoom;
use tracing::warn;

use crate::contexts::PerformanceContexts;
use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result;
use crate::wallet::transfer_ids;

/// The most attempts to plan a payment, where its fan changes the hold between plan and payment.
const PLANS_MAX: usize = 4;

/// What [`PaymentUseCases`] is made of.
pub struct PaymentParts {
    /// The payments.
    pub payments: Arc<dyn Payments>,
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// Lets fans pass who hold an active token.
    pub guard: QueueGuard,
    /// Propagates payments.
    pub propagator: SettlementPropagator,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `PaymentService`.
#[derive(Clone)]
pub struct PaymentUseCases {
    payments: Arc<dyn Payments>,
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    guard: QueueGuard,
    propagator: SettlementPropagator,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl PaymentUseCases {
    /// The use cases over their ports.
    pub fn new(parts: PaymentParts) -> Self {
        let PaymentParts { payments, reservations, contexts, guard, propagator, clock, ids } = parts;
        Self { payments, reservations, contexts, guard, propagator, clock, ids }
    }

    /// Pays a live hold of the caller from the wallet. Idempotent: a repeated request returns the first payment,
    /// although the hold is no longer live and the queue token has been used.
    pub async fn pay_reservation(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        request: RequestKey,
    ) -> Result<Paid, AppError> {
        let paid = self.pay(caller, pass, id, request).await;
        or_first_result(paid, || self.payments.find_paid(request)).await
    }

    /// Plans and makes the payment, again if the hold changed between the two.
    async fn pay(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        request: RequestKey,
    ) -> Result<Paid, AppError> {
        for _ in 0..PLANS_MAX {
            let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
            let reservation = found.ok_or_else(|| AppError::not_found("reservation", id))?;
            if let Some(paid) = self.pay_as_seen(caller, pass, &reservation, request).await? {
                return Ok(paid);
            }
        }
        Err(AppError::Overloaded)
    }

    /// Pays the hold as it was read. Returns none if the hold has changed since.
    async fn pay_as_seen(
        &self,
        caller: Caller,
        pass: &QueuePass,
        reservation: &Reservation,
        request: RequestKey,
    ) -> Result<Option<Paid>, AppError> {
        let performance = self.contexts.performance(reservation.performance).await?;
        self.guard.authorize_sale(pass, caller, &performance).await?;
        let now = self.clock.now();
        check_payable(reservation, now)?;
        let payload = pass.payload(caller, performance.id);
        let id = PaymentId(self.ids.next());
        let plan = plan_wallet_payment(reservation, id, transfer_ids(&*self.ids), payload, now);
        let applied = match self.payments.pay_from_wallet(plan, request).await {
            Err(RequestError::Refused(PayRefusal::HoldChanged)) => return Ok(None),
            other => other?,
        };
        if let Applied::Now(paid) = &applied {
            self.propagate(paid, reservation).await;
        }
        Ok(Some(applied.into_inner()))
    }

    /// Propagates the settlement at once. If that fails, the sweep propagates it.
    async fn propagate(&self, Paid { payment, ended_token, .. }: &Paid, reservation: &Reservation) {
        let settlement = Settlement {
            payment: payment.id,
            reservation: reservation.id,
            user: reservation.user,
            performance: reservation.performance,
            slots: reservation.slots(),
            payload: *ended_token,
        };
        if let Err(unavailable) = self.propagator.propagate(&settlement).await {
            warn!(
                payment = %payment.id,
                error = &unavailable as &dyn std::error::Error,
                "settlement not propagated; the next sweep propagates it"
            );
        }
    }

    /// One payment of the caller.
    pub async fn get_payment(&self, caller: Caller, id: PaymentId) -> Result<FanPayment, AppError> {
        let found = self.payments.find(id).await?.filter(|payment| payment.user() == caller.user);
        found.ok_or_else(|| AppError::not_found("payment", id))
    }

    /// The caller's payments, newest first.
    pub async fn list_payments(
        &self,
        user: UserId,
        page: PageRequest<PaymentId>,
    ) -> Result<Page<FanPayment, PaymentId>, AppError> {
        Ok(self.payments.list(user, page).await?)
    }
}

/// Propagates settlements to the stores of live state: the seat locks and the queue. Idempotent.
#[derive(Clone)]
pub struct SettlementPropagator {
    seat_map: SeatMap,
    room: WaitingRoom,
    /// Payments propagated by this instance of which the payments' store does not know yet.
    propagated: Arc<Mutex<Vec<PaymentId>>>,
}

impl SettlementPropagator {
    /// A propagator for these stores.
    pub fn new(seat_map: SeatMap, room: WaitingRoom) -> Self {
        Self { seat_map, room, propagated: Arc::default() }
    }

    /// Marks the seats of a payment that was made just now as sold, and ends the queue token that it ended.
    pub async fn propagate(&self, settlement: &Settlement) -> Result<(), AppError> {
        let Settlement { performance, reservation, user, slots, .. } = settlement;
        self.seat_map.mark_sold(*performance, slots, *reservation, *user).await?;
        self.end_token(settlement).await
    }

    /// Propagates a payment that was made some time ago. Its seats may have been cancelled since and be another fan's, so the claims
    /// are written to the locks.
    pub async fn propagate_late(&self, settlement: &Settlement) -> Result<(), AppError> {
        let Settlement { performance, reservation, slots, .. } = settlement;
        self.seat_map.settle_sold(*performance, slots, *reservation).await?;
        self.end_token(settlement).await
    }

    async fn end_token(&self, Settlement { payment, payload, .. }: &Settlement) -> Result<(), AppError> {
        if let Some(payload) = payload {
            self.room.end(payload, EndReason::Used).await?;
        }
        self.propagated.lock().unwrap_or_else(PoisonError::into_inner).push(*payment);
        Ok(())
    }

    /// Takes the payments that were propagated since the last call. If they are lost, they are propagated again.
    pub fn take_propagated(&self) -> Vec<PaymentId> {
        std::mem::take(&mut *self.propagated.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
