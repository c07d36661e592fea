//! Compares what Encore recorded of an attempt with what the gateway says, when both have come to rest.

use crate::ids::RefundId;
use crate::payment::attempt::{AttemptState, Progress};
use crate::payment::gateway::{Charge, ChargeStatus, GatewayView, RefundStatus};

/// An attempt that is to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreconciled {
    /// What the gateway is asked for.
    pub charge: Charge,
    /// What Encore recorded.
    pub state: AttemptState,
}

/// How the gateway and Encore differ about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The gateway took the amount, of which Encore knows nothing.
    TakenUnrecorded,
    /// Encore recorded that the amount was taken, and the gateway has not taken it.
    RecordedNotTaken,
    /// Encore is through with the attempt, and the amount is still reserved on the card.
    StillReserved,
    /// Encore recorded a refund as given back, and neither the gateway nor a dispute has given it back.
    RefundNotMade(RefundId),
    /// The gateway made a refund that Encore counts as failed, or does not know.
    RefundUnrecorded(RefundId),
}

impl Difference {
    /// The name in stores, logs and metrics. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::TakenUnrecorded => "taken_unrecorded",
            Self::RecordedNotTaken => "recorded_not_taken",
            Self::StillReserved => "still_reserved",
            Self::RefundNotMade(_) => "refund_not_made",
            Self::RefundUnrecorded(_) => "refund_unrecorded",
        }
    }

    /// The refund that it is about.
    pub fn refund(self) -> Option<RefundId> {
        match self {
            Self::RefundNotMade(refund) | Self::RefundUnrecorded(refund) => Some(refund),
            Self::TakenUnrecorded | Self::RecordedNotTaken | Self::StillReserved => None,
        }
    }
}

/// The first difference, those about most money first; none if they agree. No view: the gateway does not know the attempt.
pub fn difference(state: &AttemptState, view: Option<&GatewayView>) -> Option<Difference> {
    let charge = view.map(|view| &view.charge);
    let is_taken = charge == Some(&ChargeStatus::Captured);
    match (is_taken, state.capture == Progress::Succeeded) {
        (true, false) => return Some(Difference::TakenUnrecorded),
        (false, true) => return Some(Difference::RecordedNotTaken),
        (false, false) if charge == Some(&ChargeStatus::Authorized) => return Some(Difference::StillReserved),
        (true, true) | (false, false) => {}
    }
    if !is_taken {
        return None;
    }
    let made = view.map(|view| view.refunds.as_slice()).unwrap_or_default();
    let status = |id: RefundId| made.iter().find(|(known, _)| *known == id).map(|(_, status)| *status);
    let not_made = state.refunds.iter().find(|(id, progress)| {
        *progress == Progress::Succeeded
            && !state.refunds_by_dispute.contains(id)
            && !matches!(status(*id), Some(RefundStatus::Succeeded | RefundStatus::Pending))
    });
    let unrecorded = made.iter().find(|(id, status)| {
        let recorded = state.refunds.iter().find(|(known, _)| known == id).map(|(_, progress)| *progress);
        *status == RefundStatus::Succeeded && matches!(recorded, None | Some(Progress::Failed))
    });
    let not_made = not_made.map(|(id, _)| Difference::RefundNotMade(*id));
    not_made.or(unrecorded.map(|(id, _)| Difference::RefundUnrecorded(*id)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::payment::gateway::FailureReason;

    const REFUND: RefundId = RefundId(Uuid::from_u128(1));

    fn state(capture: Progress, refunds: &[(RefundId, Progress)]) -> AttemptState {
        AttemptState { capture, refunds: refunds.to_vec(), ..AttemptState::default() }
    }

    fn view(charge: ChargeStatus, refunds: &[(RefundId, RefundStatus)]) -> GatewayView {
        GatewayView { charge, refunds: refunds.to_vec() }
    }

    #[test]
    fn what_agrees_is_no_difference() {
        let captured = state(Progress::Succeeded, &[]);
        assert_eq!(difference(&captured, Some(&view(ChargeStatus::Captured, &[]))), None);
        let over = state(Progress::NotRequested, &[]);
        let declined = ChargeStatus::Declined(FailureReason::Declined);
        for view in [None, Some(view(ChargeStatus::Voided, &[])), Some(view(declined, &[]))] {
            assert_eq!(difference(&over, view.as_ref()), None, "{view:?}");
        }
        for (recorded, status) in [
            (Progress::Succeeded, RefundStatus::Succeeded),
            (Progress::Succeeded, RefundStatus::Pending),
            (Progress::Failed, RefundStatus::Failed),
        ] {
            let state = state(Progress::Succeeded, &[(REFUND, recorded)]);
            let view = view(ChargeStatus::Captured, &[(REFUND, status)]);
            assert_eq!(difference(&state, Some(&view)), None, "{recorded:?} {status:?}");
        }
    }

    #[test]
    fn the_gateway_does_not_know_a_refund_that_a_dispute_gave_back() {
        let closed = state(Progress::Succeeded, &[(REFUND, Progress::Succeeded)]);
        let closed = AttemptState { dispute: Progress::Succeeded, refunds_by_dispute: vec![REFUND], ..closed };
        assert_eq!(difference(&closed, Some(&view(ChargeStatus::Captured, &[]))), None);
        let sent_before = AttemptState { refunds_by_dispute: Vec::new(), ..closed };
        let missing = difference(&sent_before, Some(&view(ChargeStatus::Captured, &[])));
        assert_eq!(missing, Some(Difference::RefundNotMade(REFUND)));
    }

    #[test]
    fn every_way_to_differ_is_found() {
        let over = state(Progress::Failed, &[]);
        let captured = state(Progress::Succeeded, &[]);
        let taken = view(ChargeStatus::Captured, &[]);
        assert_eq!(difference(&over, Some(&taken)), Some(Difference::TakenUnrecorded));
        assert_eq!(difference(&captured, None), Some(Difference::RecordedNotTaken));
        let reserved = view(ChargeStatus::Authorized, &[]);
        assert_eq!(difference(&over, Some(&reserved)), Some(Difference::StillReserved));
        let refunded = state(Progress::Succeeded, &[(REFUND, Progress::Succeeded)]);
        assert_eq!(difference(&refunded, Some(&taken)), Some(Difference::RefundNotMade(REFUND)));
        let given_back = view(ChargeStatus::Captured, &[(REFUND, RefundStatus::Succeeded)]);
        let failed = state(Progress::Succeeded, &[(REFUND, Progress::Failed)]);
        for state in [captured, failed] {
            assert_eq!(difference(&state, Some(&given_back)), Some(Difference::RefundUnrecorded(REFUND)));
        }
    }
}
