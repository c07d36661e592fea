//! What a report, a deadline or a confirmation changes about a card payment, its hold and its money: one plan, which a store applies in
//! one transaction.

use crate::booking::{Reservation, ReservationState};
use crate::event::Event;
use crate::ids::RefundId;
use crate::payment::attempt::{AttemptEvent, AttemptState, Outcome, Progress, Step};
use crate::payment::card::{CardPayment, Purpose};
use crate::payment::refund::{CancelledBy, Refund, RefundCause};
use crate::payment::{Payment, PaymentMethod, Settlement};
use crate::queue::QueueTokenPayload;
use crate::time::Timestamp;
use crate::wallet::{Transfer, TransferIds};

/// A change to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardChange {
    /// What.
    pub what: Change,
    /// When.
    pub at: Timestamp,
    /// The ids of a refund and of transfers, if it makes some.
    pub ids: CardChangeIds,
}

/// The kinds of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What the gateway says, or is about to be asked.
    Report(Vec<(Step, Outcome)>),
    /// The hard bound has passed.
    Expire,
    /// The amount is reserved or taken: sell the seats, or credit the wallet.
    Confirm,
    /// What was sold will never be paid.
    Revoke,
}

/// When a payment is taken up after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeUp {
    /// The caller goes on with it. Nobody else takes it up before this time.
    Leased(Timestamp),
    /// The caller gives its lease up. If something is left to do, the payment is due at this time, or at once if there is none.
    Due(Option<Timestamp>),
    /// The caller has only news. Whoever is first takes it up at once, or when the lease that it has is given up.
    Hinted,
}

impl TakeUp {
    /// The time that is asked for.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Leased(until) => Some(until),
            Self::Due(at) => at,
            Self::Hinted => None,
        }
    }
}

/// The ids that a change may need.
#[derive(Clone, Copy, Debug)]
pub struct CardChangeIds {
    /// Of a refund.
    pub refund: RefundId,
    /// Of its transfers.
    pub transfers: [TransferIds; 2],
}

impl PartialEq for CardChangeIds {
    fn eq(&self, other: &Self) -> bool {
        self.refund == other.refund
    }
}

impl Eq for CardChangeIds {}

/// What is known when a change is decided, read under the locks of payment, reservation and wallet.
#[derive(Clone, Copy, Debug)]
pub struct CardContext<'a> {
    /// The reservation, if the payment is for one.
    pub reservation: Option<&'a Reservation>,
    /// Whether nobody has claimed the seats of an expired reservation.
    pub seats_are_free: bool,
    /// Whether the fan has another live hold of the performance.
    pub has_another_hold: bool,
    /// Whether the wallet can take the amount.
    pub fits_wallet: bool,
}

/// What a change does to the reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatsChange {
    /// The card was refused: it is a live hold again.
    HeldAgain(Reservation),
    /// It expired: the claims end.
    Expired(Reservation),
    /// It is sold. The claims are there.
    Sold(Reservation),
    /// It had expired and is sold after all: the seats are claimed again.
    SoldAgain(Reservation),
    /// It is cancelled: the claims end.
    Cancelled(Reservation),
}

/// Everything that a change commits in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardEffects {
    /// The events of the latest attempt.
    pub events: Vec<AttemptEvent>,
    /// What becomes of the reservation.
    pub seats: Option<SeatsChange>,
    /// A payment that was made.
    pub paid: Option<Payment>,
    /// The queue token that it ends.
    pub ended_token: Option<QueueTokenPayload>,
    /// The transfers, in order.
    pub transfers: Vec<Transfer>,
    /// A refund.
    pub refund: Option<Refund>,
}

impl CardEffects {
    /// The event for consumers of what became of the reservation. Those of the payment are
    /// [`payment_events`](Self::payment_events).
    pub fn event(&self) -> Option<Event> {
        Some(match (self.seats.clone()?, &self.paid, &self.refund) {
            (SeatsChange::HeldAgain(hold), ..) => {
                let at = self.events.last()?.at;
                Event::HoldChanged { hold, released: Vec::new(), at }
            }
            (SeatsChange::Expired(expired), ..) => Event::HoldExpired(expired),
            (SeatsChange::Sold(sold) | SeatsChange::SoldAgain(sold), Some(payment), _) => {
                Event::ReservationConfirmed { reservation: sold, payment: payment.clone() }
            }
            (SeatsChange::Cancelled(reservation), _, Some(refund)) => {
                Event::SeatsCancelled { reservation, refund: refund.clone() }
            }
            (SeatsChange::Sold(_) | SeatsChange::SoldAgain(_) | SeatsChange::Cancelled(_), ..) => return None,
        })
    }

    /// What is propagated after a sale.
    pub fn settlement(&self) -> Option<Settlement> {
        let Some(SeatsChange::Sold(sold) | SeatsChange::SoldAgain(sold)) = &self.seats else { return None };
        Some(Settlement {
            payment: self.paid.as_ref()?.id,
            reservation: sold.id,
            user: sold.user,
            performance: sold.performance,
            slots: sold.slots(),
            payload: self.ended_token,
        })
    }
}

/// A change in the making.
struct Deciding<'a> {
    card: &'a CardPayment,
    context: CardContext<'a>,
    change: &'a CardChange,
    state: AttemptState,
    effects: CardEffects,
}

/// Decides a change. What is not possible any more, because another instance was faster or a report is old, has no effect.
pub fn decide(card: &CardPayment, context: CardContext<'_>, change: &CardChange) -> CardEffects {
    let mut deciding = Deciding { card, context, change, state: card.latest(), effects: CardEffects::default() };
    match &change.what {
        Change::Report(reports) => deciding.report(reports),
        Change::Expire => deciding.expire(),
        Change::Confirm => deciding.confirm(),
        Change::Revoke => deciding.revoke(),
    }
    deciding.effects
}

impl Deciding<'_> {
    /// Records an outcome if it says something new.
    fn record(&mut self, step: Step, outcome: Outcome) -> bool {
        let accepted = self.state.accept(step, &outcome);
        if accepted {
            self.effects.events.push(AttemptEvent { step, outcome, at: self.change.at });
        }
        accepted
    }

    /// The reservation while this payment holds it.
    fn paying(&self) -> Option<&Reservation> {
        self.context.reservation.filter(|reservation| reservation.state == ReservationState::Paying)
    }

    fn report(&mut self, reports: &[(Step, Outcome)]) {
        for (step, outcome) in reports {
            let (Step::Refund(id), Outcome::Failed(_)) = (step, outcome) else {
                self.record(*step, outcome.clone());
                continue;
            };
            // Without ids, it is recorded when it is reported again.
            if self.unused_ids().is_some() && self.record(*step, outcome.clone()) {
                self.return_to_wallet(*id);
            }
        }
        if self.state.is_over() && !self.state.is_confirmed && !self.effects.events.is_empty() {
            self.hold_again();
        }
    }

    /// A refused card: the hold gets its own deadline back, and a sweep ends it if that has passed.
    fn hold_again(&mut self) {
        let (Some(paying), Some(attempt)) = (self.paying(), self.card.attempt()) else { return };
        let (state, expires_at) = (ReservationState::Held, attempt.hold_until);
        let held = Reservation { state, expires_at, revision: paying.revision + 1, ..paying.clone() };
        self.effects.seats = Some(SeatsChange::HeldAgain(held));
    }

    /// The ids of the next transfer; none if all are used.
    fn unused_ids(&self) -> Option<TransferIds> {
        self.change.ids.transfers.get(self.effects.transfers.len()).copied()
    }

    /// A refund that came back: the wallet gets it.
    fn return_to_wallet(&mut self, id: RefundId) {
        let refund = self.card.refunds.iter().find(|refund| refund.id == id);
        let (Some(refund), Some(ids)) = (refund, self.unused_ids()) else { return };
        let about = (refund.payment, id);
        self.effects.transfers.push(Transfer::returned(ids, self.card.user, refund.amount(), about, self.change.at));
    }

    fn expire(&mut self) {
        if !self.record(Step::Expire, Outcome::Succeeded) {
            return;
        }
        if let Some(paying) = self.paying() {
            let settled_at = Some(self.change.at);
            let expired = Reservation { state: ReservationState::Expired, settled_at, ..paying.clone() };
            self.effects.seats = Some(SeatsChange::Expired(expired));
        }
        // Who has not acted by now need not.
        if self.state.authorize == Progress::NeedsAction {
            self.record(Step::Void, Outcome::Requested);
        }
    }

    fn confirm(&mut self) {
        match self.card.purpose {
            // Another instance has sold it, or has given it back.
            _ if self.state.is_confirmed || !self.state.refunds.is_empty() => {}
            Purpose::Seats { .. } => self.sell(),
            Purpose::TopUp => self.credit(),
        }
        let request = self.card.attempt().and_then(|attempt| attempt.request);
        self.effects.transfers.iter_mut().for_each(|transfer| transfer.request = request);
    }

    fn sell(&mut self) {
        let sellable = self.context.reservation.and_then(|reservation| match reservation.state {
            ReservationState::Paying => Some((reservation, false)),
            ReservationState::Expired if self.context.seats_are_free => Some((reservation, true)),
            ReservationState::Held
            | ReservationState::Confirmed
            | ReservationState::Expired
            | ReservationState::Released
            | ReservationState::Cancelled => None,
        });
        let Some((reservation, again)) = sellable.filter(|_| self.state.may_confirm()) else {
            return self.give_up();
        };
        let CardPayment { id, user, amount, .. } = *self.card;
        let at = self.change.at;
        let performance = reservation.performance;
        self.record(Step::Confirm, Outcome::Succeeded);
        let [charge, payment] = self.change.ids.transfers;
        self.effects.transfers.push(Transfer::charge(charge, user, amount, id, at));
        self.effects.transfers.push(Transfer::payment(payment, user, performance, amount, id, at));
        let sold = Reservation {
            state: ReservationState::Confirmed,
            settled_at: Some(at),
            payment: Some(id),
            ..reservation.clone()
        };
        self.effects.paid = Some(Payment {
            id,
            reservation: reservation.id,
            user,
            performance,
            amount,
            paid_at: at,
            method: PaymentMethod::Card,
        });
        let token = self.card.attempt().and_then(|attempt| attempt.token);
        self.effects.ended_token = token.filter(|_| !self.context.has_another_hold);
        self.effects.seats = Some(if again { SeatsChange::SoldAgain(sold) } else { SeatsChange::Sold(sold) });
    }

    fn credit(&mut self) {
        if !self.context.fits_wallet || !self.state.may_confirm() || self.state.capture != Progress::Succeeded {
            return self.give_up();
        }
        self.record(Step::Confirm, Outcome::Succeeded);
        let [ids, _] = self.change.ids.transfers;
        let CardPayment { id, user, amount, .. } = *self.card;
        self.effects.transfers.push(Transfer::charged_top_up(ids, user, amount, id, self.change.at));
    }

    /// There is nothing to sell: what was taken goes back, and what was reserved is given up.
    fn give_up(&mut self) {
        if self.state.capture != Progress::Succeeded {
            self.record(Step::Void, Outcome::Requested);
            return;
        }
        let CardPayment { id, user, amount, purpose, .. } = *self.card;
        let (refund, at) = (self.change.ids.refund, self.change.at);
        if !self.record(Step::Refund(refund), Outcome::Requested) {
            return;
        }
        let [charge, back] = self.change.ids.transfers;
        self.effects.transfers.push(Transfer::charge(charge, user, amount, id, at));
        self.effects.transfers.push(Transfer::card_refund(back, user, amount, (id, refund), at));
        let (reservation, performance) = match purpose {
            Purpose::Seats { reservation, performance } => (Some(reservation), Some(performance)),
            Purpose::TopUp => (None, None),
        };
        let (slots, by, cause) = (Vec::new(), CancelledBy::Fan, RefundCause::Unsold);
        let (is_whole, price, fee_minor) = (false, amount, 0);
        self.effects.refund = Some(Refund {
            id: refund,
            payment: id,
            reservation,
            user,
            performance,
            slots,
            is_whole,
            price,
            fee_minor,
            by,
            cause,
            to_card: true,
            at,
        });
    }

    /// The amount will never be taken: what is left of the sale is cancelled. Refunds that were due are done, because nothing was
    /// taken.
    fn revoke(&mut self) {
        if !self.record(Step::Revoke, Outcome::Succeeded) {
            return;
        }
        while let Some(open) = self.state.open_refund() {
            self.record(Step::Refund(open), Outcome::Succeeded);
        }
        let sold = self.context.reservation.filter(|reservation| reservation.state == ReservationState::Confirmed);
        let Some(sold) = sold else { return };
        let (refund, at) = (self.change.ids.refund, self.change.at);
        let CardPayment { id, user, .. } = *self.card;
        self.record(Step::Refund(refund), Outcome::Requested);
        self.record(Step::Refund(refund), Outcome::Succeeded);
        let [to_wallet, to_card] = self.change.ids.transfers;
        let about = (id, refund);
        self.effects.transfers.push(Transfer::refund(to_wallet, user, sold.performance, sold.total, about, at));
        self.effects.transfers.push(Transfer::card_refund(to_card, user, sold.total, about, at));
        self.effects.refund = Some(Refund {
            id: refund,
            payment: id,
            reservation: Some(sold.id),
            user,
            performance: Some(sold.performance),
            slots: sold.slots(),
            is_whole: true,
            price: sold.total,
            fee_minor: 0,
            by: CancelledBy::Fan,
            cause: RefundCause::NotTaken,
            to_card: true,
            at,
        });
        let cancelled = Reservation { state: ReservationState::Cancelled, cancelled_at: Some(at), ..sold.clone() };
        self.effects.seats = Some(SeatsChange::Cancelled(cancelled));
    }
}
