//! What Stripe answers, as far as Encore reads it.

use std::collections::HashMap;

use encore_domain::payment::gateway::{ChargeStatus, DisputeStatus, FailureReason, NextAction, RefundStatus};
use serde::Deserialize;
use tracing::warn;

/// A `PaymentIntent`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Intent {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub last_payment_error: Option<PaymentError>,
    #[serde(default)]
    pub next_action: Option<Action>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// Why the last confirmation failed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PaymentError {
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub decline_code: Option<String>,
}

/// What the customer must do.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Action {
    #[serde(default)]
    pub redirect_to_url: Option<Redirect>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Redirect {
    pub url: String,
}

/// A `Refund`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Refund {
    pub amount: i64,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// A `Dispute`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dispute {
    pub status: String,
}

impl Dispute {
    /// A warning that was closed took nothing.
    pub(super) fn status(&self) -> DisputeStatus {
        match self.status.as_str() {
            "lost" => DisputeStatus::Lost,
            "won" | "warning_closed" | "prevented" => DisputeStatus::Won,
            _ => DisputeStatus::Open,
        }
    }
}

/// A list, or what a search found.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct List<T> {
    pub data: Vec<T>,
}

/// The body of a refusal.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub error: ApiError,
}

/// Why a request was refused. The message is left out: it may quote a payment method.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub decline_code: Option<String>,
    #[serde(default)]
    pub param: Option<String>,
}

impl Intent {
    /// The state of the charge; none while nothing was asked of the card.
    pub(super) fn charge(&self, return_url: &str) -> Option<ChargeStatus> {
        let refused = self.last_payment_error.as_ref().map(|error| ChargeStatus::Declined(error.reason()));
        Some(match self.status.as_str() {
            "requires_confirmation" => return None,
            "requires_payment_method" => return refused,
            "requires_action" => {
                // Encore confirms with a return URL, for which Stripe answers with a redirect. Without one the fan can only come back.
                let redirect = self.next_action.as_ref().and_then(|action| action.redirect_to_url.as_ref());
                let url = redirect.map_or(return_url, |redirect| &redirect.url).to_owned();
                ChargeStatus::NeedsAction(NextAction { url })
            }
            "processing" => ChargeStatus::Pending,
            "requires_capture" => ChargeStatus::Authorized,
            "succeeded" => ChargeStatus::Captured,
            "canceled" => refused.unwrap_or(ChargeStatus::Voided),
            status => {
                warn!(intent = self.id, status, "unknown status of a PaymentIntent; asked again later");
                ChargeStatus::Pending
            }
        })
    }

    /// Whether the card may be asked.
    pub(super) fn may_confirm(&self) -> bool {
        self.status == "requires_confirmation"
    }

    /// Whether the amount is reserved and not taken.
    pub(super) fn may_capture(&self) -> bool {
        self.status == "requires_capture"
    }
}

impl PaymentError {
    fn reason(&self) -> FailureReason {
        reason(self.code.as_deref(), self.decline_code.as_deref())
    }
}

impl ApiError {
    /// Why the card was refused, as a fan may be told.
    pub(super) fn reason(&self) -> FailureReason {
        if self.code.as_deref() == Some("resource_missing") || self.param.as_deref() == Some("payment_method") {
            return FailureReason::MethodInvalid;
        }
        reason(self.code.as_deref(), self.decline_code.as_deref())
    }
}

/// Codes: <https://docs.stripe.com/error-codes>, <https://docs.stripe.com/declines/codes>. What a fan need not know, such as that a card
/// was reported as stolen, is a plain decline.
fn reason(code: Option<&str>, decline_code: Option<&str>) -> FailureReason {
    match (code.unwrap_or_default(), decline_code.unwrap_or_default()) {
        (_, "insufficient_funds" | "withdrawal_count_limit_exceeded" | "card_velocity_exceeded") => {
            FailureReason::InsufficientFunds
        }
        ("payment_intent_authentication_failure" | "authentication_required", _)
        | (_, "authentication_required" | "authentication_not_handled") => FailureReason::ActionFailed,
        (
            "expired_card"
            | "incorrect_number"
            | "invalid_number"
            | "incorrect_cvc"
            | "invalid_cvc"
            | "invalid_expiry_month"
            | "invalid_expiry_year"
            | "payment_method_unactivated"
            | "payment_intent_invalid_parameter"
            | "payment_intent_incompatible_payment_method",
            _,
        )
        | (_, "expired_card" | "incorrect_number" | "invalid_number" | "incorrect_cvc" | "invalid_account") => {
            FailureReason::MethodInvalid
        }
        _ => FailureReason::Declined,
    }
}

impl Refund {
    pub(super) fn status(&self) -> RefundStatus {
        match self.status.as_deref() {
            Some("succeeded") => RefundStatus::Succeeded,
            Some("failed" | "canceled") => RefundStatus::Failed,
            _ => RefundStatus::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fan_is_told_what_helps_and_no_more() {
        for (code, decline_code, expected) in [
            ("card_declined", "insufficient_funds", FailureReason::InsufficientFunds),
            ("card_declined", "stolen_card", FailureReason::Declined),
            ("card_declined", "fraudulent", FailureReason::Declined),
            ("card_declined", "", FailureReason::Declined),
            ("expired_card", "expired_card", FailureReason::MethodInvalid),
            ("incorrect_cvc", "", FailureReason::MethodInvalid),
            ("payment_intent_authentication_failure", "", FailureReason::ActionFailed),
            ("authentication_required", "authentication_required", FailureReason::ActionFailed),
            ("something_new", "", FailureReason::Declined),
        ] {
            assert_eq!(reason(Some(code), Some(decline_code)), expected, "{code} {decline_code}");
        }
    }
}
