//! Payments by card.

use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::booking::seat_state::Locker;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{AttemptId, PaymentId, ReservationId};
use encore_domain::money::Money;
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::MethodToken;
use encore_domain::payment::{PayRefusal, check_payable};
use encore_domain::ports::{CardPayments, Clock, Ids, Reservations, SandboxActions};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::TopUpAmount;
use encore_seat_map::SeatMap;
use tracing::warn;

use crate::card_saga::{CardSaga, Driven, LEASE};
use crate::contexts::PerformanceContexts;
use crate::error::{AppError, Violation};
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result;

/// The most attempts to plan a payment, where its fan changes the hold between plan and payment.
const PLANS_MAX: usize = 4;

/// What [`CardPaymentUseCases`] is made of.
pub struct CardPaymentParts {
    /// The payments by card.
    pub cards: Arc<dyn CardPayments>,
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Lets fans pass who hold an active token.
    pub guard: QueueGuard,
    /// Drives payments, if there is a gateway.
    pub saga: Option<CardSaga>,
    /// Acts for fans at the sandbox, if that is the gateway.
    pub sandbox: Option<Arc<dyn SandboxActions>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases that pay by card.
#[derive(Clone)]
pub struct CardPaymentUseCases {
    cards: Arc<dyn CardPayments>,
    reservations: Arc<dyn Reservations>,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    guard: QueueGuard,
    saga: Option<CardSaga>,
    sandbox: Option<Arc<dyn SandboxActions>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl CardPaymentUseCases {
    /// The use cases over their ports.
    pub fn new(parts: CardPaymentParts) -> Self {
        let CardPaymentParts { cards, reservations, contexts, seat_map, guard, saga, sandbox, clock, ids } = parts;
        Self { cards, reservations, contexts, seat_map, guard, saga, sandbox, clock, ids }
    }

    /// Pays a live hold of the caller by card. The answer may come before the end: the payment says what to do next, and goes on
    /// without its caller. Idempotent: a repeated request returns the payment as it is now.
    pub async fn pay_reservation(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        method: &MethodToken,
        request: RequestKey,
    ) -> Result<CardPayment, AppError> {
        let paid = self.pay(caller, pass, id, method, request).await;
        or_first_result(paid, || self.cards.find_started(request)).await
    }

    async fn pay(
        &self,
        caller: Caller,
        pass: &QueuePass,
        id: ReservationId,
        method: &MethodToken,
        request: RequestKey,
    ) -> Result<CardPayment, AppError> {
        for _ in 0..PLANS_MAX {
            let found = self.reservations.find(id).await?.filter(|reservation| reservation.user == caller.user);
            let hold = found.ok_or_else(|| AppError::not_found("reservation", id))?;
            let performance = self.contexts.performance(hold.performance).await?;
            self.guard.authorize_sale(pass, caller, &performance).await?;
            check_payable(&hold, self.clock.now())?;
            if hold.total.minor == 0 {
                let rule = "must be absent: seats that cost nothing are paid from the wallet";
                return Err(AppError::Invalid(vec![Violation::new("card", rule)]));
            }
            let plan = CardPlan {
                token: pass.payload(caller, performance.id),
                revision: hold.revision,
                ..self.plan(caller, seats_of(&hold), hold.total, method)
            };
            match self.begin(plan, request).await {
                Err(RequestError::Refused(CardRefusal::Pay(PayRefusal::HoldChanged))) => {}
                begun => return Ok(begun?),
            }
        }
        Err(AppError::Overloaded)
    }

    /// Tops up the caller's wallet by card. Idempotent, as [`Self::pay_reservation`] is.
    pub async fn top_up(
        &self,
        caller: Caller,
        pass: &QueuePass,
        amount: TopUpAmount,
        method: &MethodToken,
        request: RequestKey,
    ) -> Result<CardPayment, AppError> {
        let begun = match self.guard.authorize_anywhere(pass, caller).await {
            Ok(()) => {
                let plan = self.plan(caller, Purpose::TopUp, amount.money(), method);
                self.begin(plan, request).await.map_err(AppError::from)
            }
            Err(refusal) => Err(refusal),
        };
        or_first_result(begun, || self.cards.find_started(request)).await
    }

    fn plan(&self, caller: Caller, purpose: Purpose, amount: Money, method: &MethodToken) -> CardPlan {
        let at = self.clock.now();
        CardPlan {
            payment: PaymentId(self.ids.next()),
            user: caller.user,
            purpose,
            amount,
            attempt: AttemptId(self.ids.next()),
            method: method.clone(),
            token: None,
            revision: 0,
            at,
            lease_until: at + LEASE,
        }
    }

    /// Records an attempt and drives it. If this instance fails in between, another takes the payment up.
    async fn begin(&self, plan: CardPlan, request: RequestKey) -> Result<CardPayment, RequestError<CardRefusal>> {
        let saga = self.saga.as_ref().ok_or(RequestError::Refused(CardRefusal::CardsOff))?;
        let started = match self.cards.start(plan, request).await {
            Ok(started) => started,
            Err(RequestError::Refused(refusal)) => return Err(RequestError::Refused(CardRefusal::Pay(refusal))),
            Err(RequestError::Reused) => return Err(RequestError::Reused),
            Err(RequestError::Unavailable(unavailable)) => return Err(unavailable.into()),
        };
        let (card, paying) = match started {
            Applied::Before((card, _)) => return Ok(card),
            Applied::Now(started) => started,
        };
        if let Some(paying) = &paying {
            self.keep_locks(paying).await;
        }
        match saga.drive(card.clone(), Driven::First).await {
            Ok(card) => Ok(card),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(payment = %card.id, error, "a card payment was not driven to its end; taken up again later");
                Ok(card)
            }
        }
    }

    /// Gives the seat locks the deadline of the payment. If that fails, the sweep of overdue locks does it.
    async fn keep_locks(&self, paying: &Reservation) {
        let settled = self.seat_map.settle(paying.performance, &paying.slots(), Locker::Fan(paying.id)).await;
        if let Err(error) = settled {
            let error = &error as &dyn std::error::Error;
            warn!(error, "seat locks keep the deadline of the hold; the sweep of overdue locks corrects them");
        }
    }

    /// A payment by card of the caller; none if it is not by card.
    async fn find(&self, caller: Caller, id: PaymentId) -> Result<Option<CardPayment>, AppError> {
        Ok(self.cards.find(id).await?.filter(|card| card.user == caller.user))
    }

    /// Completes, at the sandbox gateway, the action that a payment of the caller waits for, and drives the payment.
    pub async fn complete_sandbox_action(
        &self,
        caller: Caller,
        id: PaymentId,
        succeeds: bool,
    ) -> Result<CardPayment, AppError> {
        let card = self.find(caller, id).await?.ok_or_else(|| AppError::not_found("payment", id))?;
        let (Some(saga), Some(sandbox)) = (&self.saga, &self.sandbox) else { return Err(AppError::CardsOff) };
        let waiting = card.attempt().filter(|_| card.next_action().is_some());
        match waiting {
            Some(attempt) if sandbox.complete(attempt.id, succeeds).await => saga.drive(card, Driven::Again).await,
            _ => Err(AppError::NoActionNeeded),
        }
    }
}

/// Why an attempt was not begun.
enum CardRefusal {
    CardsOff,
    Pay(PayRefusal),
}

impl From<CardRefusal> for AppError {
    fn from(refusal: CardRefusal) -> Self {
        match refusal {
            CardRefusal::CardsOff => Self::CardsOff,
            CardRefusal::Pay(refusal) => refusal.into(),
        }
    }
}

fn seats_of(hold: &Reservation) -> Purpose {
    Purpose::Seats { reservation: hold.id, performance: hold.performance }
}
