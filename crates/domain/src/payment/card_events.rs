//! What consumers are told of a payment by card: the steps that say where its money is.

use crate::event::{CardPaymentRef, Event, PaymentChange, PaymentFailure, PaymentStep, RefundToCard};
use crate::ids::{RefundId, TransferId};
use crate::payment::attempt::{AttemptEvent, AttemptState, Outcome, Step};
use crate::payment::card::CardPayment;
use crate::payment::card_change::CardEffects;
use crate::payment::refund::Refund;
use crate::wallet::{Transfer, TransferKind};

impl CardEffects {
    /// The events for consumers of the steps that were recorded. `before` is the payment to which the change was made.
    pub fn payment_events(&self, before: &CardPayment) -> Vec<Event> {
        let returned = |refund: RefundId| {
            let is_of = |it: &&Transfer| it.kind == TransferKind::Returned && it.refund == Some(refund);
            self.transfers.iter().find(is_of).map(|transfer| transfer.id)
        };
        events_of(before, &self.events, returned)
    }
}

/// The events for consumers of steps that follow those of the latest attempt of a payment. `returned` is the transfer that credited the
/// wallet with a refund.
///
/// - Each attempt is authorized, captured and failed at most once. It has failed when it is over and nothing is taken; what was taken all
///   the same is captured afterwards.
/// - A refund of what was never taken is no refund to a card: the cancelled sale says so.
/// - A dispute is told when the gateway confirms it. Before that it is a hint.
pub fn events_of(
    card: &CardPayment,
    steps: &[AttemptEvent],
    returned: impl Fn(RefundId) -> Option<TransferId>,
) -> Vec<Event> {
    let Some(attempt) = card.attempt().filter(|_| !steps.is_empty()) else { return Vec::new() };
    let payment = CardPaymentRef {
        id: card.id,
        user: card.user,
        purpose: card.purpose,
        amount: card.amount,
        attempt: u32::try_from(card.attempts.len()).unwrap_or(u32::MAX),
        request: attempt.request,
    };
    let refund_of = |id: RefundId| card.refunds.iter().find(|refund| refund.id == id).map(RefundToCard::from);
    let (mut state, mut disputes) = (attempt.state(), Disputes::of(&attempt.events));
    let mut told = Vec::new();
    for step in steps {
        let was_over = state.is_over();
        state.accept(step.step, &step.outcome);
        let changes = match (step.step, &step.outcome) {
            (Step::Authorize, Outcome::Succeeded) => vec![PaymentChange::Authorized],
            (Step::Capture, Outcome::Succeeded) => vec![PaymentChange::Captured],
            (Step::Refund(id), Outcome::Succeeded) if !state.is_revoked => {
                let by_dispute = state.refunds_by_dispute.contains(&id);
                refund_of(id).map(|refund| PaymentChange::Refunded { refund, by_dispute }).into_iter().collect()
            }
            (Step::Refund(id), Outcome::Failed(_)) => {
                let failed = refund_of(id).zip(returned(id));
                failed.map(|(refund, transfer)| PaymentChange::RefundFailed { refund, transfer }).into_iter().collect()
            }
            (Step::Dispute, outcome) => disputes.hear(outcome),
            _ if !was_over && state.is_over() => vec![PaymentChange::Failed(failure(step, &state))],
            _ => Vec::new(),
        };
        let event = |change| Event::PaymentChanged(PaymentStep { payment, change, at: step.at });
        told.extend(changes.into_iter().map(event));
    }
    told
}

/// Why an attempt is over after this step.
fn failure(step: &AttemptEvent, state: &AttemptState) -> PaymentFailure {
    if let Outcome::Failed(reason) = step.outcome {
        PaymentFailure::Refused(reason)
    } else if state.is_expired {
        PaymentFailure::Expired
    } else {
        PaymentFailure::Voided
    }
}

impl From<&Refund> for RefundToCard {
    fn from(refund: &Refund) -> Self {
        Self { id: refund.id, amount: refund.amount(), cause: refund.cause }
    }
}

/// The disputes of a charge of which consumers were told.
#[derive(Default)]
struct Disputes {
    told: u32,
    is_open: bool,
}

impl Disputes {
    fn of(steps: &[AttemptEvent]) -> Self {
        let mut disputes = Self::default();
        for step in steps.iter().filter(|step| step.step == Step::Dispute) {
            disputes.hear(&step.outcome);
        }
        disputes
    }

    /// What consumers are told of news of a dispute.
    fn hear(&mut self, outcome: &Outcome) -> Vec<PaymentChange> {
        let is_lost = match outcome {
            // A hint, which the gateway has not confirmed.
            Outcome::Requested | Outcome::NeedsAction(_) => return Vec::new(),
            Outcome::Unknown => return self.open().into_iter().collect(),
            Outcome::Succeeded => true,
            // The gateway speaks of the dispute that was won before: there is no other.
            Outcome::Failed(_) if !self.is_open && self.told > 0 => return Vec::new(),
            Outcome::Failed(_) => false,
        };
        let opened = self.open();
        self.is_open = false;
        opened.into_iter().chain([PaymentChange::DisputeClosed { dispute: self.told, is_lost }]).collect()
    }

    /// That a dispute is open, unless that was told.
    fn open(&mut self) -> Option<PaymentChange> {
        if self.is_open {
            return None;
        }
        (self.told, self.is_open) = (self.told + 1, true);
        Some(PaymentChange::Disputed { dispute: self.told })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::{AttemptId, PaymentId, PerformanceId, RequestId, ReservationId, UserId};
    use crate::money::{Currency, Money};
    use crate::payment::card::Purpose;
    use crate::payment::card_plan::CardPlan;
    use crate::payment::gateway::{FailureReason, MethodToken};
    use crate::payment::refund::{CancelledBy, RefundCause};
    use crate::time::Timestamp;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;
    const REFUND: Step = Step::Refund(RefundId(Uuid::from_u128(8)));
    const RETURNED: TransferId = TransferId(Uuid::from_u128(9));
    const WON: Outcome = Outcome::Failed(FailureReason::DisputeWon);

    fn amount() -> Money {
        Money { minor: 500, currency: Currency::parse("EUR").expect("a currency") }
    }

    fn refund() -> Refund {
        Refund {
            id: RefundId(Uuid::from_u128(8)),
            payment: PaymentId(Uuid::from_u128(1)),
            reservation: None,
            user: UserId(Uuid::from_u128(2)),
            performance: None,
            slots: Vec::new(),
            is_whole: false,
            price: amount(),
            fee_minor: 100,
            by: CancelledBy::Fan,
            cause: RefundCause::Cancelled,
            to_card: true,
            at: AT,
        }
    }

    /// A second attempt, of which these steps were recorded.
    fn card(steps: &[(Step, Outcome)]) -> CardPayment {
        let purpose = Purpose::Seats {
            reservation: ReservationId(Uuid::from_u128(4)),
            performance: PerformanceId(Uuid::from_u128(5)),
        };
        let plan = CardPlan {
            payment: PaymentId(Uuid::from_u128(1)),
            user: UserId(Uuid::from_u128(2)),
            purpose,
            amount: amount(),
            attempt: AttemptId(Uuid::from_u128(3)),
            method: MethodToken::parse("card").expect("a token"),
            token: None,
            revision: 0,
            at: AT,
            lease_until: AT,
        };
        let attempt = plan.attempt(AT, RequestId(Uuid::from_u128(6)));
        let mut card = plan.first(attempt.clone());
        card.attempts.push(attempt);
        card.attempts[1].events.extend(recorded(steps));
        card.refunds.push(refund());
        card
    }

    fn recorded(steps: &[(Step, Outcome)]) -> Vec<AttemptEvent> {
        steps.iter().map(|(step, outcome)| AttemptEvent { step: *step, outcome: outcome.clone(), at: AT }).collect()
    }

    /// What consumers are told of each of these steps, which come one by one.
    fn told(steps: &[(Step, Outcome)]) -> Vec<Vec<PaymentChange>> {
        let change = |event| {
            let Event::PaymentChanged(step) = event else { panic!("{event:?}") };
            step.change
        };
        let one_by_one = (0..steps.len()).map(|index| {
            let events = events_of(&card(&steps[..index]), &recorded(&steps[index..=index]), |_| Some(RETURNED));
            events.into_iter().map(change).collect::<Vec<_>>()
        });
        let one_by_one: Vec<_> = one_by_one.collect();
        let at_once = events_of(&card(&[]), &recorded(steps), |_| Some(RETURNED));
        assert_eq!(at_once.into_iter().map(change).collect::<Vec<_>>(), one_by_one.concat(), "the same at once");
        one_by_one
    }

    #[test]
    fn the_steps_that_move_money_are_told() {
        let to_card = RefundToCard::from(&refund());
        let steps = [
            (Step::Authorize, Outcome::Unknown),
            (Step::Authorize, Outcome::Succeeded),
            (Step::Confirm, Outcome::Succeeded),
            (Step::Capture, Outcome::Requested),
            (Step::Capture, Outcome::Succeeded),
            (REFUND, Outcome::Requested),
            (REFUND, Outcome::Succeeded),
            (REFUND, Outcome::Failed(FailureReason::RefundRefused)),
        ];
        let expected = [
            vec![],
            vec![PaymentChange::Authorized],
            vec![],
            vec![],
            vec![PaymentChange::Captured],
            vec![],
            vec![PaymentChange::Refunded { refund: to_card, by_dispute: false }],
            vec![PaymentChange::RefundFailed { refund: to_card, transfer: RETURNED }],
        ];
        assert_eq!(told(&steps), expected);
        assert_eq!(to_card.amount.minor, 400, "without the fee");
    }

    #[test]
    fn an_attempt_fails_once_and_says_why() {
        let declined = Outcome::Failed(FailureReason::Declined);
        let refused = PaymentChange::Failed(PaymentFailure::Refused(FailureReason::Declined));
        let voided = (Step::Void, Outcome::Succeeded);
        let expired = (Step::Expire, Outcome::Succeeded);
        let captured = (Step::Capture, Outcome::Succeeded);
        let taken_after_all = told(&[(Step::Authorize, declined), voided.clone(), captured]);
        assert_eq!(taken_after_all, [vec![refused], vec![], vec![PaymentChange::Captured]]);
        let late = told(&[expired, (Step::Void, Outcome::Requested), voided.clone()]);
        assert_eq!(late, [vec![], vec![], vec![PaymentChange::Failed(PaymentFailure::Expired)]]);
        assert_eq!(told(&[voided]), [[PaymentChange::Failed(PaymentFailure::Voided)]]);
    }

    #[test]
    fn what_was_never_taken_is_not_refunded() {
        let refused = Outcome::Failed(FailureReason::CaptureRefused);
        let failed = PaymentChange::Failed(PaymentFailure::Refused(FailureReason::CaptureRefused));
        let steps = [
            (Step::Authorize, Outcome::Succeeded),
            (Step::Confirm, Outcome::Succeeded),
            (Step::Capture, refused),
            (Step::Revoke, Outcome::Succeeded),
            (REFUND, Outcome::Requested),
            (REFUND, Outcome::Succeeded),
        ];
        let expected = [vec![PaymentChange::Authorized], vec![], vec![failed], vec![], vec![], vec![]];
        assert_eq!(told(&steps), expected);
    }

    #[test]
    fn a_dispute_is_told_when_the_gateway_confirms_it() {
        let hint = (Step::Dispute, Outcome::Requested);
        let open = (Step::Dispute, Outcome::Unknown);
        let lost = (Step::Dispute, Outcome::Succeeded);
        let won = (Step::Dispute, WON);
        let disputed = |dispute| PaymentChange::Disputed { dispute };
        let closed = |dispute, is_lost| PaymentChange::DisputeClosed { dispute, is_lost };
        let after = |steps: &[(Step, Outcome)]| {
            let captured = [(Step::Capture, Outcome::Succeeded)];
            told(&[&captured, steps].concat()).split_off(1)
        };
        let (again, other) = ([hint.clone(), won.clone()], [hint.clone(), open.clone(), lost.clone()]);
        let steps = [[hint.clone(), open, won.clone()].as_slice(), &again, &other].concat();
        let first = [vec![], vec![disputed(1)], vec![closed(1, false)]];
        let second = [vec![], vec![disputed(2)], vec![closed(2, true)]];
        let expected = [first.as_slice(), &[vec![], vec![]], &second].concat();
        assert_eq!(after(&steps), expected, "the second hint is of the one that was won");
        assert_eq!(after(&[hint, won])[1], [disputed(1), closed(1, false)]);
        assert_eq!(after(&[lost]), [[disputed(1), closed(1, true)]]);
    }

    #[test]
    fn a_refund_that_a_dispute_took_says_so() {
        let steps = [
            (Step::Capture, Outcome::Succeeded),
            (Step::Dispute, Outcome::Succeeded),
            (REFUND, Outcome::Requested),
            (REFUND, Outcome::Succeeded),
        ];
        let refund = RefundToCard::from(&refund());
        assert_eq!(told(&steps)[3], [PaymentChange::Refunded { refund, by_dispute: true }]);
    }

    #[test]
    fn events_have_the_key_of_what_is_paid_and_an_id_of_their_own() {
        let steps = [
            (Step::Authorize, Outcome::Succeeded),
            (Step::Capture, Outcome::Succeeded),
            (Step::Dispute, WON),
            (REFUND, Outcome::Requested),
            (REFUND, Outcome::Succeeded),
        ];
        let seats = card(&[]);
        let ids: Vec<String> = events_of(&seats, &recorded(&steps), |_| None).iter().map(Event::id).collect();
        let (payment, refund) = (seats.id, refund().id);
        let expected = [
            format!("payment.authorized/{payment}/2"),
            format!("payment.captured/{payment}/2"),
            format!("payment.disputed/{payment}/1"),
            format!("payment.dispute_closed/{payment}/1"),
            format!("payment.refunded/{refund}"),
        ];
        assert_eq!(ids, expected);
        let top_up = CardPayment { purpose: Purpose::TopUp, ..seats.clone() };
        for (card, key) in [(&seats, Uuid::from_u128(5)), (&top_up, Uuid::from_u128(2))] {
            let events = events_of(card, &recorded(&steps), |_| None);
            assert!(events.iter().all(|event| event.key() == key), "{events:?}");
        }
    }
}
