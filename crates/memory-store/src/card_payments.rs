use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, RequestId};
use encore_domain::payment::card::{ATTEMPTS_MAX, CardPayment, Purpose};
use encore_domain::payment::card_change::{CardChange, CardContext, CardEffects, SeatsChange, TakeUp, decide};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::{PayRefusal, check_payable};
use encore_domain::ports::CardPayments;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferKind;

use crate::records::{MemoryRecords, Records};
use crate::requests::Started;
use crate::reservations::unknown_reservation;

/// [`CardPayments`] in process.
pub struct MemoryCardPayments(MemoryRecords);

impl MemoryCardPayments {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

impl Records {
    /// A payment by card with its refunds.
    pub fn card(&self, id: PaymentId) -> Option<CardPayment> {
        let refunds = self.payments.refunds_of(id).into_iter().cloned().collect();
        Some(CardPayment { refunds, ..self.cards.payments.get(&id)?.clone() })
    }

    /// Applies what was decided about a payment by card.
    fn apply_to_card(&mut self, mut card: CardPayment, effects: &CardEffects) {
        let payment_events = effects.payment_events(&card);
        if let Some(attempt) = card.attempts.last_mut() {
            attempt.events.extend(effects.events.iter().cloned());
        }
        if !effects.events.is_empty() {
            card.tries = 0;
        }
        self.cards.write(card.clone());
        if let Some(seats) = &effects.seats {
            self.reservations.apply(seats);
        }
        if let (Some(payment), Some(settlement)) = (&effects.paid, effects.settlement()) {
            let payload = settlement.payload.map(QueueTokenPayload::bare);
            self.payments.insert(payment, encore_domain::payment::Settlement { payload, ..settlement });
        }
        if let Some(token) = &effects.ended_token {
            self.ended_tokens.insert(token, EndReason::Used);
        }
        if let Some(refund) = &effects.refund {
            self.payments.refunds.insert(refund.id, refund.clone());
        }
        for transfer in &effects.transfers {
            let entry = self.wallets.post(transfer);
            if transfer.kind == TransferKind::TopUp {
                self.outbox.write(&Event::WalletToppedUp { user: transfer.user, entry });
            }
        }
        for event in effects.event().into_iter().chain(payment_events) {
            self.outbox.write(&event);
        }
    }
}

/// The payment of a plan with its new attempt, and the hold that it keeps from now on.
fn plan_start(
    records: &Records,
    plan: &CardPlan,
    request: RequestId,
) -> Result<(CardPayment, Option<Reservation>), RequestError<PayRefusal>> {
    let Purpose::Seats { reservation, .. } = plan.purpose else {
        return Ok((plan.first(plan.attempt(plan.at, request)), None));
    };
    let hold = records.reservations.find(reservation).ok_or_else(unknown_reservation)?;
    check_payable(hold, plan.at).map_err(RequestError::Refused)?;
    if hold.revision != plan.revision {
        return Err(RequestError::Refused(PayRefusal::HoldChanged));
    }
    let attempt = plan.attempt(hold.expires_at, request);
    let paying = plan.paying(hold, &attempt);
    let before = records.cards.by_reservation.get(&reservation).and_then(|id| records.cards.payments.get(id));
    let card = match before {
        None => plan.first(attempt),
        Some(before) if before.attempts.len() >= ATTEMPTS_MAX => {
            return Err(RequestError::Refused(PayRefusal::TooManyAttempts { attempts: before.attempts.len() }));
        }
        Some(before) => {
            let mut card = CardPayment { amount: plan.amount, tries: 0, ..before.clone() };
            card.attempts.push(attempt);
            card
        }
    };
    Ok((card, Some(paying)))
}

#[async_trait]
impl CardPayments for MemoryCardPayments {
    async fn start(
        &self,
        plan: CardPlan,
        request: RequestKey,
    ) -> Result<Applied<(CardPayment, Option<Reservation>)>, RequestError<PayRefusal>> {
        let records = &mut *self.0.lock();
        if let Some(Started { payment, .. }) = records.requests.before(Some(request))? {
            let card = records.card(payment).ok_or_else(|| Unavailable::of("the payment"))?;
            return Ok(Applied::Before((card, None)));
        }
        let (card, paying) = plan_start(records, &plan, request.id)?;
        if let Some(paying) = &paying {
            records.reservations.change(paying);
            let event = Event::HoldChanged { hold: paying.clone(), released: Vec::new(), at: plan.at };
            records.outbox.write(&event);
        }
        records.cards.write(card.clone());
        records.cards.take(card.id, plan.lease_until);
        records.requests.remember(Some(request), Started { payment: card.id, attempt: plan.attempt });
        Ok(Applied::Now((card, paying)))
    }

    async fn find_started(&self, request: RequestKey) -> Result<Option<CardPayment>, RequestError<Infallible>> {
        let records = self.0.lock();
        let started: Option<Started> = records.requests.before(Some(request))?;
        Ok(started.and_then(|started| records.card(started.payment)))
    }

    async fn find(&self, id: PaymentId) -> Result<Option<CardPayment>, Unavailable> {
        Ok(self.0.lock().card(id))
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<CardPayment>, Unavailable> {
        let records = &mut *self.0.lock();
        let due = records.cards.due(now, limit as usize);
        for id in &due {
            records.cards.take(*id, lease_until);
            if let Some(card) = records.cards.payments.get_mut(id) {
                card.tries = card.tries.saturating_add(1);
            }
        }
        Ok(due.into_iter().filter_map(|id| records.card(id)).collect())
    }

    async fn hasten(&self, payment: PaymentId, at: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.0.lock().cards.hasten(payment, at))
    }

    async fn apply(
        &self,
        payment: PaymentId,
        change: CardChange,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), Unavailable> {
        let records = &mut *self.0.lock();
        let card = records.card(payment).ok_or_else(|| Unavailable::of("the payment"))?;
        let reservation = match card.purpose {
            Purpose::Seats { reservation, .. } => records.reservations.find(reservation),
            Purpose::TopUp => None,
        };
        let is_expired = |it: &&Reservation| it.state == ReservationState::Expired;
        let balance = records.wallets.balance(card.user, card.amount.currency);
        let context = CardContext {
            reservation,
            seats_are_free: reservation.filter(is_expired).is_some_and(|it| records.reservations.are_free(it)),
            has_another_hold: reservation.is_some_and(|it| records.reservations.has_another_hold(it, change.at)),
            fits_wallet: balance.minor <= card.amount.currency.balance_max_minor() - card.amount.minor,
        };
        let effects = decide(&card, context, &change);
        records.apply_to_card(card, &effects);
        let card = records.card(payment).ok_or_else(|| Unavailable::of("the payment"))?;
        let due = card.due_after(take_up.at(), change.at);
        records.cards.set_due(payment, due, take_up, change.at);
        Ok((card, effects))
    }
}

impl crate::records::ReservationRecords {
    /// Whether nobody has claimed the seats of a reservation.
    fn are_free(&self, reservation: &Reservation) -> bool {
        let claims = self.claims.get(&reservation.performance);
        reservation.slots().iter().all(|slot| claims.is_none_or(|claims| !claims.contains_key(slot)))
    }

    fn apply(&mut self, seats: &SeatsChange) {
        match seats {
            SeatsChange::HeldAgain(hold) => self.change(hold),
            SeatsChange::Expired(expired) => {
                self.end_unpaid(
                    expired.id,
                    ReservationState::Expired,
                    expired.settled_at.unwrap_or(expired.expires_at),
                );
            }
            SeatsChange::Sold(sold) => self.sell(sold),
            SeatsChange::SoldAgain(sold) => {
                self.own_again(sold);
                self.sell(sold);
            }
            SeatsChange::Cancelled(cancelled) => self.cancel(cancelled, &cancelled.slots()),
        }
    }
}
