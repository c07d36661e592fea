//! One try to be paid by a gateway: a list of events that is only ever appended to, and what follows from it.
//!
//! Every report goes through [`AttemptState::accept`], whether it is the answer of a call, a webhook or a poll, and whether it comes
//! early, late, twice or out of order. A report that says nothing new, or that an attempt is past, changes nothing.

use crate::ids::RefundId;
use crate::payment::gateway::{ChargeStatus, DisputeStatus, FailureReason, GatewayView, NextAction, RefundStatus};
use crate::time::Timestamp;

/// A step of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reserving the amount on the card.
    Authorize,
    /// Selling the seats, or crediting the wallet, in Encore's own store.
    Confirm,
    /// Taking the reserved amount.
    Capture,
    /// Giving up the reserved amount.
    Void,
    /// Giving up the seats at the hard bound of the attempt.
    Expire,
    /// Cancelling a sale whose amount will never be taken.
    Revoke,
    /// Giving money back.
    Refund(RefundId),
    /// The cardholder's dispute of the charge. Requested: Encore was told of it. Unknown: the gateway says that it is open. Succeeded: the
    /// cardholder got the money back. Failed: the money stays.
    Dispute,
}

impl Step {
    /// The name in stores and metrics. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Confirm => "confirm",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Expire => "expire",
            Self::Revoke => "revoke",
            Self::Refund(_) => "refund",
            Self::Dispute => "dispute",
        }
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about to be asked for. Recorded before it is.
    Requested,
    /// Nobody knows: it is asked again.
    Unknown,
    /// The fan must act first.
    NeedsAction(NextAction),
    /// It took effect.
    Succeeded,
    /// It will never take effect.
    Failed(FailureReason),
}

impl Outcome {
    /// The name in stores and metrics. It never changes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::NeedsAction(_) => "needs_action",
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }
}

/// An event of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// Which step.
    pub step: Step,
    /// What became of it.
    pub outcome: Outcome,
    /// When Encore recorded it.
    pub at: Timestamp,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Nobody asked for it.
    #[default]
    NotRequested,
    /// It was or is about to be asked for.
    Requested,
    /// It was asked for, and the outcome is not known.
    Unknown,
    /// The fan must act first.
    NeedsAction,
    /// It took effect.
    Succeeded,
    /// It never takes effect.
    Failed,
}

impl Progress {
    /// Whether nothing changes it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// Whether it was asked for and is not final.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Unknown | Self::NeedsAction)
    }

    /// The progress after an outcome. A final one stays, and a request starts a step only once.
    fn after(self, outcome: &Outcome) -> Self {
        match (self, outcome) {
            (Self::Succeeded | Self::Failed, _)
            | (Self::Requested | Self::Unknown | Self::NeedsAction, Outcome::Requested) => self,
            (_, Outcome::Succeeded) => Self::Succeeded,
            (_, Outcome::Failed(_)) => Self::Failed,
            (_, Outcome::NeedsAction(_)) => Self::NeedsAction,
            (_, Outcome::Unknown) => Self::Unknown,
            (Self::NotRequested, Outcome::Requested) => Self::Requested,
        }
    }
}

/// What follows from the events of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttemptState {
    /// Reserving the amount.
    pub authorize: Progress,
    /// Taking it.
    pub capture: Progress,
    /// Giving it up.
    pub void: Progress,
    /// Whether the seats are sold, or the wallet credited, for it.
    pub is_confirmed: bool,
    /// Whether its seats were given up at the hard bound.
    pub is_expired: bool,
    /// Whether its sale was cancelled because the amount will never be taken.
    pub is_revoked: bool,
    /// The refunds, oldest first.
    pub refunds: Vec<(RefundId, Progress)>,
    /// What the fan must do, while that is so.
    pub next_action: Option<NextAction>,
    /// The cardholder's dispute of the charge, if there is one.
    pub dispute: Progress,
    /// Why the gateway refused, if it did.
    pub failure: Option<FailureReason>,
}

impl AttemptState {
    /// The state after these events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a AttemptEvent>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.accept(event.step, &event.outcome);
        }
        state
    }

    /// Applies a report. Returns whether it changed anything; if not, it is not recorded.
    ///
    /// - A final outcome of a step is never overwritten, but for two that say where money is: an amount that was taken counts whatever
    ///   was said before, and a refund that succeeded may come back.
    /// - Giving up and confirming exclude each other: whichever is recorded first wins.
    /// - A capture implies its authorization.
    pub fn accept(&mut self, step: Step, outcome: &Outcome) -> bool {
        let before = self.clone();
        match step {
            Step::Authorize => self.authorize = self.authorize.after(outcome),
            Step::Capture if *outcome == Outcome::Succeeded => {
                (self.capture, self.authorize) = (Progress::Succeeded, Progress::Succeeded);
            }
            Step::Capture => self.capture = self.capture.after(outcome),
            Step::Void if *outcome == Outcome::Requested && !self.may_void() => {}
            Step::Void => self.void = self.void.after(outcome),
            Step::Confirm => self.is_confirmed |= *outcome == Outcome::Succeeded && self.may_confirm(),
            Step::Expire => self.is_expired |= !self.is_confirmed && !self.is_over(),
            Step::Revoke => self.is_revoked |= self.must_revoke(),
            Step::Refund(id) => self.accept_refund(id, outcome),
            // Only what was taken can be disputed.
            Step::Dispute if self.capture == Progress::Succeeded => self.dispute = self.dispute.after(outcome),
            Step::Dispute => {}
        }
        if *self == before {
            return false;
        }
        if step == Step::Dispute {
            return true;
        }
        self.next_action = match outcome {
            Outcome::NeedsAction(action) => Some(action.clone()),
            Outcome::Requested | Outcome::Unknown | Outcome::Succeeded | Outcome::Failed(_) => {
                let waits = self.authorize == Progress::NeedsAction && !self.void.is_final();
                self.next_action.take().filter(|_| waits)
            }
        };
        if let Outcome::Failed(reason) = outcome {
            self.failure = Some(*reason);
        }
        true
    }

    fn accept_refund(&mut self, id: RefundId, outcome: &Outcome) {
        match self.refunds.iter_mut().find(|(known, _)| *known == id) {
            Some((_, progress)) => {
                let came_back = *progress == Progress::Succeeded && matches!(outcome, Outcome::Failed(_));
                *progress = if came_back { Progress::Failed } else { progress.after(outcome) };
            }
            // A refund that Encore did not ask for is not its own.
            None if *outcome == Outcome::Requested => self.refunds.push((id, Progress::Requested)),
            None => {}
        }
    }

    /// Whether the seats may be sold for it: the amount is reserved or taken, and nobody gives it up.
    pub fn may_confirm(&self) -> bool {
        !self.is_confirmed
            && self.authorize == Progress::Succeeded
            && self.capture != Progress::Failed
            && self.void == Progress::NotRequested
            && self.refunds.is_empty()
    }

    /// Whether it may be given up: it is not sold, and nothing is taken.
    pub fn may_void(&self) -> bool {
        !self.is_confirmed && self.capture != Progress::Succeeded
    }

    /// Whether something was sold for an amount that will never be taken.
    pub fn must_revoke(&self) -> bool {
        let is_lost = self.capture == Progress::Failed || self.void == Progress::Succeeded;
        self.is_confirmed && !self.is_revoked && self.capture != Progress::Succeeded && is_lost
    }

    /// Whether the gateway has refused, or has given up the amount, and has taken nothing.
    pub fn is_over(&self) -> bool {
        let is_refused = [self.authorize, self.capture].contains(&Progress::Failed);
        self.capture != Progress::Succeeded && (is_refused || self.void == Progress::Succeeded)
    }

    /// A refund that is not final.
    pub fn open_refund(&self) -> Option<RefundId> {
        self.refunds.iter().find(|(_, progress)| !progress.is_final()).map(|(id, _)| *id)
    }
}

/// What a gateway says of the steps of an attempt. The answer of a call, a webhook and a poll all go through here.
pub fn reports(view: &GatewayView) -> Vec<(Step, Outcome)> {
    let mut reports = match &view.charge {
        ChargeStatus::Pending => vec![(Step::Authorize, Outcome::Unknown)],
        ChargeStatus::NeedsAction(action) => vec![(Step::Authorize, Outcome::NeedsAction(action.clone()))],
        ChargeStatus::Authorized => vec![(Step::Authorize, Outcome::Succeeded)],
        ChargeStatus::Captured => vec![(Step::Authorize, Outcome::Succeeded), (Step::Capture, Outcome::Succeeded)],
        ChargeStatus::CaptureRefused => {
            let refused = Outcome::Failed(FailureReason::CaptureRefused);
            vec![(Step::Authorize, Outcome::Succeeded), (Step::Capture, refused)]
        }
        ChargeStatus::Voided => vec![(Step::Void, Outcome::Succeeded)],
        ChargeStatus::Declined(reason) => vec![(Step::Authorize, Outcome::Failed(*reason))],
    };
    reports.extend(view.refunds.iter().map(|(id, status)| {
        let outcome = match status {
            RefundStatus::Pending => Outcome::Unknown,
            RefundStatus::Succeeded => Outcome::Succeeded,
            RefundStatus::Failed => Outcome::Failed(FailureReason::RefundRefused),
        };
        (Step::Refund(*id), outcome)
    }));
    reports
}

/// What a gateway says of a dispute.
pub fn dispute_report(status: DisputeStatus) -> (Step, Outcome) {
    let outcome = match status {
        DisputeStatus::Open => Outcome::Unknown,
        DisputeStatus::Lost => Outcome::Succeeded,
        DisputeStatus::Won => Outcome::Failed(FailureReason::DisputeWon),
    };
    (Step::Dispute, outcome)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    const DECLINED: Outcome = Outcome::Failed(FailureReason::Declined);
    const REFUND: Step = Step::Refund(RefundId(Uuid::from_u128(1)));

    fn action() -> Outcome {
        Outcome::NeedsAction(NextAction { url: "https://bank.example".into() })
    }

    fn outcomes() -> [Outcome; 5] {
        [Outcome::Requested, Outcome::Unknown, action(), Outcome::Succeeded, DECLINED]
    }

    fn reports() -> Vec<(Step, Outcome)> {
        let steps = [
            Step::Authorize,
            Step::Confirm,
            Step::Capture,
            Step::Void,
            Step::Expire,
            Step::Revoke,
            REFUND,
            Step::Dispute,
        ];
        steps.into_iter().flat_map(|step| outcomes().map(|outcome| (step, outcome))).collect()
    }

    /// Every state that can be reached by any reports in any order.
    fn reachable() -> Vec<AttemptState> {
        let mut known = HashSet::from([AttemptState::default()]);
        let mut open = vec![AttemptState::default()];
        while let Some(before) = open.pop() {
            for (step, outcome) in reports() {
                let mut state = before.clone();
                if state.accept(step, &outcome) && known.insert(state.clone()) {
                    open.push(state);
                }
            }
        }
        known.into_iter().collect()
    }

    fn after(reports: &[(Step, Outcome)]) -> AttemptState {
        let mut state = AttemptState::default();
        for (step, outcome) in reports {
            state.accept(*step, outcome);
        }
        state
    }

    #[test]
    fn no_report_in_any_state_breaks_a_rule() {
        let states = reachable();
        assert!(states.len() > 500, "{} states", states.len());
        for before in &states {
            for (step, outcome) in reports() {
                let mut now = before.clone();
                let changed = now.accept(step, &outcome);
                assert_eq!(changed, now != *before, "{before:?} {step:?} {outcome:?}");
                let mut twice = now.clone();
                assert!(!twice.accept(step, &outcome), "a report that comes twice says nothing new: {now:?} {step:?}");
                assert_eq!(twice, now);
                // What is final stays so, but for money that was taken or came back.
                let took = step == Step::Capture && outcome == Outcome::Succeeded;
                if before.authorize.is_final() && !took {
                    assert_eq!(now.authorize, before.authorize, "{before:?} {step:?} {outcome:?}");
                }
                if before.capture.is_final() && !took {
                    assert_eq!(now.capture, before.capture, "{before:?} {step:?} {outcome:?}");
                }
                if before.void.is_final() {
                    assert_eq!(now.void, before.void, "{before:?} {step:?} {outcome:?}");
                }
                for ((_, before), (_, now)) in before.refunds.iter().zip(&now.refunds) {
                    let came_back = (*before, *now) == (Progress::Succeeded, Progress::Failed);
                    assert!(!before.is_final() || before == now || came_back);
                }
                assert!(!before.dispute.is_final() || now.dispute == before.dispute, "{before:?} {step:?} {outcome:?}");
                // What was decided stays decided.
                assert!(now.is_confirmed >= before.is_confirmed && now.is_revoked >= before.is_revoked);
                assert!(now.is_expired >= before.is_expired && now.refunds.len() >= before.refunds.len());
                if now.is_confirmed && !before.is_confirmed {
                    assert_eq!((before.authorize, before.void), (Progress::Succeeded, Progress::NotRequested));
                }
                if now.is_revoked && !before.is_revoked {
                    assert!(before.is_confirmed && before.capture != Progress::Succeeded);
                }
                assert!(now.capture != Progress::Succeeded || now.authorize == Progress::Succeeded, "{now:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_comes_late_changes_only_what_is_open() {
        let declined = after(&[(Step::Authorize, Outcome::Requested), (Step::Authorize, DECLINED)]);
        for outcome in [Outcome::Succeeded, Outcome::Unknown, action(), Outcome::Requested] {
            assert!(!declined.clone().accept(Step::Authorize, &outcome), "{outcome:?}");
        }
        let unknown = [(Step::Authorize, Outcome::Requested), (Step::Authorize, Outcome::Unknown)];
        for outcome in [Outcome::Succeeded, DECLINED, action()] {
            assert!(after(&unknown).accept(Step::Authorize, &outcome), "{outcome:?}");
        }
    }

    #[test]
    fn a_report_that_comes_early_implies_what_was_before_it() {
        let captured = after(&[(Step::Authorize, Outcome::Requested), (Step::Capture, Outcome::Succeeded)]);
        assert_eq!((captured.authorize, captured.capture), (Progress::Succeeded, Progress::Succeeded));
        assert!(!captured.clone().accept(Step::Authorize, &Outcome::Unknown));
        assert!(captured.may_confirm());
    }

    #[test]
    fn money_that_was_taken_counts_whatever_was_said_before() {
        for said in [(Step::Authorize, DECLINED), (Step::Void, Outcome::Succeeded), (Step::Capture, DECLINED)] {
            let state =
                after(&[(Step::Authorize, Outcome::Requested), said.clone(), (Step::Capture, Outcome::Succeeded)]);
            assert_eq!(state.capture, Progress::Succeeded, "{said:?}");
            assert!(!state.is_over() && !state.must_revoke());
        }
    }

    #[test]
    fn giving_up_and_confirming_exclude_each_other() {
        let authorized = [(Step::Authorize, Outcome::Requested), (Step::Authorize, Outcome::Succeeded)];
        let mut confirmed = after(&authorized);
        assert!(confirmed.accept(Step::Confirm, &Outcome::Succeeded));
        assert!(
            !confirmed.accept(Step::Void, &Outcome::Requested) && !confirmed.accept(Step::Expire, &Outcome::Succeeded)
        );
        let mut given_up = after(&authorized);
        assert!(given_up.accept(Step::Void, &Outcome::Requested));
        assert!(!given_up.accept(Step::Confirm, &Outcome::Succeeded));
    }

    #[test]
    fn a_refund_may_come_back_after_it_succeeded_and_only_once() {
        let mut state = after(&[(REFUND, Outcome::Requested), (REFUND, Outcome::Succeeded)]);
        assert_eq!(state.open_refund(), None);
        assert!(state.accept(REFUND, &DECLINED));
        assert!(!state.accept(REFUND, &DECLINED) && !state.accept(REFUND, &Outcome::Succeeded));
        assert!(!after(&[]).accept(REFUND, &Outcome::Succeeded), "nobody asked for it");
    }

    #[test]
    fn a_dispute_is_of_what_was_taken_and_fails_no_payment() {
        assert!(!after(&[(Step::Authorize, Outcome::Succeeded)]).accept(Step::Dispute, &Outcome::Requested));
        let taken = [(Step::Capture, Outcome::Succeeded), (Step::Dispute, Outcome::Requested)];
        for (status, progress) in [
            (DisputeStatus::Open, Progress::Unknown),
            (DisputeStatus::Lost, Progress::Succeeded),
            (DisputeStatus::Won, Progress::Failed),
        ] {
            let mut state = after(&taken);
            let (step, outcome) = dispute_report(status);
            assert!(state.accept(step, &outcome));
            assert_eq!((state.dispute, state.failure), (progress, None));
        }
    }

    #[test]
    fn the_fan_is_told_what_to_do_only_while_it_is_so() {
        let mut state = after(&[(Step::Authorize, Outcome::Requested), (Step::Authorize, action())]);
        assert!(state.next_action.is_some());
        assert!(state.accept(Step::Void, &Outcome::Requested));
        assert!(state.next_action.is_some());
        assert!(state.accept(Step::Void, &Outcome::Succeeded));
        assert_eq!(state.next_action, None);
    }
}
