//! From the steps of payments by card to the messages that say what happened.

use encore_domain::event::{PaymentChange, PaymentFailure, PaymentStep, RefundToCard};
use encore_domain::payment::gateway::FailureReason;
use encore_domain::payment::refund::RefundCause;
use encore_proto::events::v1 as pb;
use encore_proto::events::v1::event::Data;

use crate::values::{money, timestamp};

/// What happened.
pub(crate) fn stepped(PaymentStep { payment, change, at }: &PaymentStep) -> Data {
    let (payment_id, user_id) = (payment.id.to_string(), payment.user.to_string());
    let reservation_id = payment.reservation().map(|id| id.to_string()).unwrap_or_default();
    let performance_id = payment.performance().map(|id| id.to_string()).unwrap_or_default();
    let request_id = payment.request.map(|id| id.to_string()).unwrap_or_default();
    let (amount, attempt, at) = (Some(money(payment.amount)), payment.attempt, Some(timestamp(*at)));
    match change {
        PaymentChange::Authorized => Data::PaymentAuthorized(pb::PaymentAuthorized {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            amount,
            attempt,
            request_id,
            authorized_at: at,
        }),
        PaymentChange::Captured => Data::PaymentCaptured(pb::PaymentCaptured {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            amount,
            attempt,
            request_id,
            captured_at: at,
        }),
        PaymentChange::Failed(why) => Data::PaymentFailed(pb::PaymentFailed {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            amount,
            attempt,
            request_id,
            failure: failure(*why).into(),
            failed_at: at,
        }),
        PaymentChange::Refunded { refund, by_dispute } => Data::PaymentRefunded(pb::PaymentRefunded {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            refund_id: refund.id.to_string(),
            amount: Some(money(refund.amount)),
            cause: cause(refund).into(),
            by_dispute: *by_dispute,
            refunded_at: at,
        }),
        PaymentChange::RefundFailed { refund, transfer } => Data::RefundFailed(pb::RefundFailed {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            refund_id: refund.id.to_string(),
            amount: Some(money(refund.amount)),
            cause: cause(refund).into(),
            transfer_id: transfer.to_string(),
            failed_at: at,
        }),
        PaymentChange::Disputed { dispute } => Data::PaymentDisputed(pb::PaymentDisputed {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            amount,
            dispute: *dispute,
            disputed_at: at,
        }),
        PaymentChange::DisputeClosed { dispute, is_lost } => Data::DisputeClosed(pb::DisputeClosed {
            payment_id,
            user_id,
            reservation_id,
            performance_id,
            amount,
            dispute: *dispute,
            outcome: outcome(*is_lost).into(),
            closed_at: at,
        }),
    }
}

fn outcome(is_lost: bool) -> pb::DisputeOutcome {
    if is_lost { pb::DisputeOutcome::Lost } else { pb::DisputeOutcome::Won }
}

fn cause(refund: &RefundToCard) -> pb::CardRefundCause {
    match refund.cause {
        RefundCause::Cancelled => pb::CardRefundCause::Cancelled,
        RefundCause::Unsold => pb::CardRefundCause::Unsold,
        RefundCause::Withdrawn => pb::CardRefundCause::Withdrawn,
        // Nothing was taken, so nothing comes back to the card, and no step says so.
        RefundCause::NotTaken => pb::CardRefundCause::Unspecified,
    }
}

fn failure(failure: PaymentFailure) -> pb::PaymentFailure {
    match failure {
        PaymentFailure::Expired => pb::PaymentFailure::Expired,
        PaymentFailure::Voided => pb::PaymentFailure::Voided,
        PaymentFailure::Refused(FailureReason::Declined) => pb::PaymentFailure::Declined,
        PaymentFailure::Refused(FailureReason::InsufficientFunds) => pb::PaymentFailure::InsufficientFunds,
        PaymentFailure::Refused(FailureReason::MethodInvalid) => pb::PaymentFailure::MethodInvalid,
        PaymentFailure::Refused(FailureReason::ActionFailed) => pb::PaymentFailure::ActionFailed,
        PaymentFailure::Refused(FailureReason::NotReceived) => pb::PaymentFailure::NotReceived,
        PaymentFailure::Refused(FailureReason::CaptureRefused) => pb::PaymentFailure::CaptureRefused,
        // These end a refund and a dispute, and no attempt.
        PaymentFailure::Refused(FailureReason::RefundRefused | FailureReason::DisputeWon) => {
            pb::PaymentFailure::Unspecified
        }
    }
}
