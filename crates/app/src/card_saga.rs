//! Drives payments by card to their end: each step is recorded, then taken, and what it came to is recorded. Any instance takes up what
//! another left, and what nobody knows is asked again.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::Locker;
use encore_domain::error::Unavailable;
use encore_domain::ids::RefundId;
use encore_domain::payment::attempt::{Outcome, Progress, Step, dispute_report, reports};
use encore_domain::payment::card::{CardPayment, NextStep, PaymentState};
use encore_domain::payment::card_change::{CardChange, CardChangeIds, CardEffects, Change, SeatsChange, TakeUp};
use encore_domain::payment::gateway::{Charge, DisputeStatus, FailureReason, GatewayView, RefundStatus};
use encore_domain::ports::{CardPayments, Clock, Ids, PaymentGateway};
use encore_seat_map::SeatMap;
use futures::{StreamExt, stream};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::card_measure;
use crate::error::AppError;
use crate::payment::SettlementPropagator;
use crate::wallet::transfer_ids;

/// How long an instance may take for a payment before another takes it up: longer than the steps of one round.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How long a call of the gateway may take.
const GATEWAY_WITHIN: Duration = Duration::from_secs(8);
/// The most steps of one round. A payment takes six at most.
const STEPS_MAX: usize = 12;
/// The first wait before an open payment is asked for again. It doubles with each try.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest such wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(40);
/// The longest wait while the fan acts, so that the end is told soon.
const ACTION_RETRY_AFTER: Duration = Duration::from_secs(3);
/// How often refunds that succeeded, and disputes, are looked at again.
const WATCH_EVERY: Duration = Duration::from_hours(6);
/// How many payments one round of a worker takes up.
const BATCH: u32 = 64;
/// How many payments an instance drives at once, so that a slow gateway does not take all connections.
const DRIVEN_AT_ONCE: usize = 16;

/// What [`CardSaga`] is made of.
pub struct CardSagaParts {
    /// The payments by card.
    pub cards: Arc<dyn CardPayments>,
    /// The gateway.
    pub gateway: Arc<dyn PaymentGateway>,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Propagates payments.
    pub propagator: SettlementPropagator,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// Drives payments by card. Clones share everything.
#[derive(Clone)]
pub struct CardSaga {
    cards: Arc<dyn CardPayments>,
    gateway: Arc<dyn PaymentGateway>,
    seat_map: SeatMap,
    propagator: SettlementPropagator,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// What a step came to.
enum Stepped {
    /// Something changed: go on.
    On(Box<CardPayment>),
    /// Nothing more to do for now.
    Rest(Box<CardPayment>, Option<Duration>),
}

/// Why a payment is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driven {
    /// Its attempt was begun by this call, so the gateway has not been asked yet.
    First,
    /// It is due, or there is news.
    Again,
}

impl CardSaga {
    /// A saga over its ports.
    pub fn new(parts: CardSagaParts) -> Self {
        card_measure::begin();
        let CardSagaParts { cards, gateway, seat_map, propagator, clock, ids } = parts;
        Self { cards, gateway, seat_map, propagator, clock, ids }
    }

    /// Takes up the payments that are due, side by side. Those that fail are due again after their lease.
    pub async fn take_up(&self) -> Result<(), AppError> {
        loop {
            let now = self.clock.now();
            let due = self.cards.take_due(now, now + LEASE, BATCH).await?;
            let count = due.len();
            let driving = stream::iter(due.into_iter().map(|card| self.drive(card, Driven::Again)));
            let outcomes: Vec<_> = driving.buffer_unordered(DRIVEN_AT_ONCE).collect().await;
            outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            if count < BATCH as usize {
                return Ok(());
            }
            info!(payments = count, "a full batch of card payments was due; taking up the next batch");
        }
    }

    /// Takes the steps of a payment until there is nothing to do but wait. Returns the payment as it is then.
    pub async fn drive(&self, mut card: CardPayment, why: Driven) -> Result<CardPayment, AppError> {
        let mut first = why == Driven::First;
        for _ in 0..STEPS_MAX {
            match self.step(card, first).await? {
                Stepped::On(changed) => card = *changed,
                Stepped::Rest(resting, wait) => return self.rest(*resting, wait).await,
            }
            first = false;
        }
        let wait = retry_after(&card);
        self.rest(card, Some(wait)).await
    }

    async fn rest(&self, card: CardPayment, wait: Option<Duration>) -> Result<CardPayment, AppError> {
        let due = wait.map(|wait| self.clock.now() + wait);
        let (card, _) = self.apply(&card, Change::Report(Vec::new()), TakeUp::Due(due)).await?;
        Ok(card)
    }

    async fn step(&self, card: CardPayment, first: bool) -> Result<Stepped, AppError> {
        let Some(charge) = card.charge() else { return Ok(Stepped::Rest(Box::new(card), None)) };
        match card.next_step(self.clock.now()) {
            NextStep::Done => Ok(Stepped::Rest(Box::new(card), None)),
            NextStep::LookUp if first => self.authorize(card, &charge).await,
            NextStep::Authorize => self.authorize(card, &charge).await,
            NextStep::LookUp => self.look_up(card, &charge).await,
            NextStep::Expire => self.decide(card, Change::Expire).await,
            NextStep::Confirm => self.decide(card, Change::Confirm).await,
            NextStep::Revoke => self.decide(card, Change::Revoke).await,
            NextStep::Capture => {
                let card = self.request(card, Step::Capture).await?;
                let captured = self.ask(self.gateway.capture(&charge)).await;
                self.heard(card, captured.map(Some)).await
            }
            NextStep::Void => {
                let card = self.request(card, Step::Void).await?;
                let voided = self.ask(self.gateway.void(&charge)).await;
                self.heard(card, voided.map(Some)).await
            }
            NextStep::Refund(index) => self.refund(card, &charge, index).await,
            NextStep::CloseRefund(refund) => {
                let closed = vec![(Step::Refund(refund), Outcome::Succeeded)];
                self.decide(card, Change::Report(closed)).await
            }
            NextStep::WatchRefunds => self.watch_refunds(card, &charge).await,
            NextStep::AskDispute => self.ask_dispute(card, &charge).await,
        }
    }

    /// Records that a step is about to be asked for, unless that is recorded.
    async fn request(&self, card: CardPayment, step: Step) -> Result<CardPayment, AppError> {
        let state = card.latest();
        let progress = if step == Step::Capture { state.capture } else { state.void };
        if progress != Progress::NotRequested {
            return Ok(card);
        }
        let report = Change::Report(vec![(step, Outcome::Requested)]);
        Ok(self.apply(&card, report, self.leased()).await?.0)
    }

    async fn authorize(&self, card: CardPayment, charge: &Charge) -> Result<Stepped, AppError> {
        let authorized = self.ask(self.gateway.authorize(charge)).await;
        if authorized.is_err() {
            // The request may have arrived: from now on it is looked up.
            let unknown = Change::Report(vec![(Step::Authorize, Outcome::Unknown)]);
            let (card, _) = self.apply(&card, unknown, self.leased()).await?;
            let wait = retry_after(&card);
            return Ok(Stepped::Rest(Box::new(card), Some(wait)));
        }
        self.heard(card, authorized.map(Some)).await
    }

    async fn look_up(&self, card: CardPayment, charge: &Charge) -> Result<Stepped, AppError> {
        let found = self.ask(self.gateway.look_up(charge)).await;
        let now = self.clock.now();
        let is_open = card.attempt().is_some_and(|attempt| now < attempt.bound) && !card.latest().is_expired;
        match found {
            Ok(None) if is_open => self.authorize(card, charge).await,
            Ok(None) if card.cannot_arrive(now) => {
                let failed = Outcome::Failed(FailureReason::NotReceived);
                self.decide(card, Change::Report(vec![(Step::Authorize, failed)])).await
            }
            found => self.heard(card, found).await,
        }
    }

    async fn refund(&self, card: CardPayment, charge: &Charge, index: usize) -> Result<Stepped, AppError> {
        let Some(refund) = card.refunds.get(index).cloned() else { return Ok(Stepped::Rest(Box::new(card), None)) };
        let refunded = self.ask(self.gateway.refund(charge, refund.id, refund.amount())).await;
        if refunded.as_ref().is_ok_and(|view| view.refunds.contains(&(refund.id, RefundStatus::Failed))) {
            // Gateways refuse to refund what is disputed. The wallet gets the money only if the bank has no claim to it.
            match self.ask(self.gateway.dispute(charge)).await {
                Ok(Some(status @ (DisputeStatus::Open | DisputeStatus::Lost))) => {
                    let news = vec![(Step::Dispute, Outcome::Requested), dispute_report(status)];
                    return self.decide(card, Change::Report(news)).await;
                }
                Ok(Some(DisputeStatus::Won) | None) => {}
                Err(_) => {
                    let wait = retry_after(&card);
                    return Ok(Stepped::Rest(Box::new(card), Some(wait)));
                }
            }
        }
        self.heard(card, refunded.map(Some)).await
    }

    /// Looks at refunds that succeeded: banks send some back after days.
    async fn watch_refunds(&self, card: CardPayment, charge: &Charge) -> Result<Stepped, AppError> {
        let is_new = card.tries == 0;
        if is_new {
            return Ok(Stepped::Rest(Box::new(card), Some(WATCH_EVERY)));
        }
        let Ok(Some(view)) = self.ask(self.gateway.look_up(charge)).await else {
            return Ok(Stepped::Rest(Box::new(card), Some(WATCH_EVERY)));
        };
        let mut card = card;
        // Of refunds that came back at once, a change credits two.
        loop {
            let (changed, effects) = self.apply(&card, Change::Report(reports(&view)), self.leased()).await?;
            card = changed;
            if effects.events.is_empty() {
                return Ok(Stepped::Rest(Box::new(card), Some(WATCH_EVERY)));
            }
        }
    }

    /// Asks what has become of a dispute, and of the refunds. It is open for weeks, and a webhook tells when it is decided.
    async fn ask_dispute(&self, card: CardPayment, charge: &Charge) -> Result<Stepped, AppError> {
        let Ok(found) = self.ask(self.gateway.dispute(charge)).await else {
            let wait = retry_after(&card);
            return Ok(Stepped::Rest(Box::new(card), Some(wait)));
        };
        if found.is_none()
            && let Some(index) = card.open_refund()
        {
            // The gateway knows no dispute, whatever a webhook said, so the refund need not wait.
            return self.refund(card, charge, index).await;
        }
        let mut news: Vec<_> = found.map(dispute_report).into_iter().collect();
        if !card.latest().refunds.is_empty() {
            // Banks send refunds back during a dispute too.
            let view = self.ask(self.gateway.look_up(charge)).await.ok().flatten();
            news.extend(view.iter().flat_map(reports));
        }
        let (card, _) = self.apply(&card, Change::Report(news), self.leased()).await?;
        if card.next_step(self.clock.now()) == NextStep::AskDispute {
            return Ok(Stepped::Rest(Box::new(card), Some(WATCH_EVERY)));
        }
        Ok(Stepped::On(Box::new(card)))
    }

    /// Records what the gateway said. If it said nothing, or nothing new, it is asked again later.
    async fn heard(
        &self,
        card: CardPayment,
        said: Result<Option<GatewayView>, Unavailable>,
    ) -> Result<Stepped, AppError> {
        if let Ok(Some(view)) = said {
            self.decide(card, Change::Report(reports(&view))).await
        } else {
            let wait = retry_after(&card);
            Ok(Stepped::Rest(Box::new(card), Some(wait)))
        }
    }

    /// Applies a change. Goes on if it had an effect.
    async fn decide(&self, card: CardPayment, change: Change) -> Result<Stepped, AppError> {
        let (card, effects) = self.apply(&card, change, self.leased()).await?;
        if effects.events.is_empty() || card.state() == PaymentState::NeedsAction {
            let wait = retry_after(&card);
            return Ok(Stepped::Rest(Box::new(card), Some(wait)));
        }
        Ok(Stepped::On(Box::new(card)))
    }

    /// This instance goes on with a payment after a change.
    fn leased(&self) -> TakeUp {
        TakeUp::Leased(self.clock.now() + LEASE)
    }

    async fn apply(
        &self,
        card: &CardPayment,
        what: Change,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), AppError> {
        let transfers = [(); 2].map(|()| transfer_ids(&*self.ids));
        let ids = CardChangeIds { refund: RefundId(self.ids.next()), transfers };
        let change = CardChange { what, at: self.clock.now(), ids };
        let (card, effects) = self.cards.apply(card.id, change, take_up).await?;
        self.propagate(&card, &effects).await;
        Ok((card, effects))
    }

    /// Tells the live state what was committed, and the operators what they must know. What is not told is repaired.
    async fn propagate(&self, card: &CardPayment, effects: &CardEffects) {
        card_measure::recorded(&effects.events);
        let state = card.latest();
        for event in &effects.events {
            match (event.step, &event.outcome) {
                (Step::Refund(refund), Outcome::Failed(_)) => {
                    error!(
                        alarm = "refund_failed",
                        payment = %card.id, %refund, "a refund to a card failed; credited to the wallet"
                    );
                }
                (Step::Refund(refund), Outcome::Succeeded) if state.refunds_by_dispute.contains(&refund) => {
                    error!(
                        alarm = "refund_not_sent",
                        payment = %card.id, %refund, "a refund was not sent: a lost dispute has given its money back"
                    );
                }
                (Step::Dispute, Outcome::Unknown) => {
                    error!(
                        alarm = "charge_disputed",
                        payment = %card.id, "a charge is disputed; answer it at the gateway"
                    );
                }
                (Step::Dispute, Outcome::Succeeded) => {
                    error!(
                        alarm = "dispute_lost",
                        payment = %card.id, "a dispute was lost: the money is with the cardholder"
                    );
                }
                (Step::Revoke, _) => {
                    error!(
                        alarm = "sale_revoked",
                        payment = %card.id, "the gateway does not take what it authorized; reservation cancelled"
                    );
                }
                _ => {}
            }
        }
        if let Some(settlement) = effects.settlement()
            && let Err(error) = self.propagator.propagate(&settlement).await
        {
            let error = &error as &dyn std::error::Error;
            warn!(payment = %card.id, error, "settlement not propagated; the next sweep propagates it");
        }
        match &effects.seats {
            Some(SeatsChange::HeldAgain(hold)) => {
                let settled = self.seat_map.settle(hold.performance, &hold.slots(), Locker::Fan(hold.id)).await;
                if let Err(error) = settled {
                    let error = &error as &dyn std::error::Error;
                    warn!(payment = %card.id, error, "seat locks keep the deadline of the payment until the next sweep");
                }
            }
            Some(SeatsChange::Expired(hold)) => {
                self.seat_map.release(hold.performance, &hold.slots(), hold.id).await;
            }
            Some(SeatsChange::Cancelled(sold)) => {
                self.seat_map.release_sold(sold.performance, &sold.slots(), sold.id, sold.user).await;
            }
            Some(SeatsChange::Sold(_) | SeatsChange::SoldAgain(_)) | None => {}
        }
    }

    /// Calls the gateway with a deadline.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let answer =
            timeout(GATEWAY_WITHIN, call).await.unwrap_or_else(|_| Err(Unavailable::of("the payment gateway")));
        answer.inspect_err(|unavailable| {
            card_measure::unanswered();
            let error = unavailable as &dyn std::error::Error;
            warn!(error, "the payment gateway did not answer; asked again later");
        })
    }
}

/// How long to wait before a payment is asked for again: longer with every try, and different for every payment.
fn retry_after(card: &CardPayment) -> Duration {
    let longest = if card.state() == PaymentState::NeedsAction { ACTION_RETRY_AFTER } else { RETRY_AFTER_MAX };
    let wait = (RETRY_AFTER * 2_u32.saturating_pow(card.tries.min(8))).min(longest);
    // The jitter comes from the id, which is random enough to spread payments that failed together.
    let jitter = card.attempt().map_or(0, |attempt| u32::from(attempt.id.0.as_bytes()[15]));
    wait + wait * jitter / (4 * 255)
}

#[cfg(test)]
mod tests {
    use encore_domain::payment::card::RETRY_WITHIN;

    use super::*;

    #[test]
    fn the_longest_wait_is_one_that_payments_may_wait() {
        assert!(RETRY_AFTER_MAX + RETRY_AFTER_MAX / 4 <= RETRY_WITHIN);
    }
}
