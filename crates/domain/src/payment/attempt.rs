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
    /// The refunds whose money a lost dispute has already taken. The gateway is not asked for them.
    pub refunds_by_dispute: Vec<RefundId>,
    /// What the fan must do, while that is so.
    pub next_action: Option<NextAction>,
    /// The cardholder's latest dispute of the charge, if there is one.
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
    /// - A final outcome of a step is never overwritten, but for three that say where money is: an amount that was taken counts whatever
    ///   was said before, a refund that succeeded may come back, and what was won may be disputed again.
    /// - Giving up and confirming exclude each other: whichever is recorded first wins.
    /// - A capture implies its authorization.
    /// - A refund that is open when a dispute is lost succeeds by the dispute, and cannot fail.
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
            Step::Dispute if self.capture == Progress::Succeeded => self.accept_dispute(outcome),
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

    /// News of a dispute that was won are of another one. The gateway, which is asked next, says if they were not.
    fn accept_dispute(&mut self, outcome: &Outcome) {
        let is_new = self.dispute == Progress::Failed && *outcome == Outcome::Requested;
        self.dispute = if is_new { Progress::Requested } else { self.dispute.after(outcome) };
    }

    fn accept_refund(&mut self, id: RefundId, outcome: &Outcome) {
        let is_lost = self.dispute == Progress::Succeeded;
        match self.refunds.iter_mut().find(|(known, _)| *known == id) {
            Some(_) if self.refunds_by_dispute.contains(&id) => {}
            Some((_, progress)) if is_lost && !progress.is_final() => {
                let is_closed = *outcome == Outcome::Succeeded;
                self.refunds_by_dispute.extend(is_closed.then_some(id));
                *progress = if is_closed { Progress::Succeeded } else { *progress };
            }
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
mod tests;
