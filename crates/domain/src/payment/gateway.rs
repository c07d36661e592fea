//! What Encore asks of a payment gateway, and what it is told.

use std::fmt;

use thiserror::Error;

use crate::ids::{AttemptId, PaymentId, RefundId};
use crate::money::Money;
use crate::time::Timestamp;

/// The longest token of a payment method, in bytes.
pub const METHOD_TOKEN_MAX_LEN: usize = 255;
/// The lengths of card numbers, in digits.
const CARD_NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The gateway's token of a card or another payment method. It is never the number of a card: clients give that to the gateway.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MethodToken(String);

/// The text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be a token of the payment gateway: 1 to {METHOD_TOKEN_MAX_LEN} visible ASCII characters, and no card number"
)]
pub struct NotAMethodToken;

impl MethodToken {
    /// Checks a token.
    pub fn parse(text: &str) -> Result<Self, NotAMethodToken> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            && CARD_NUMBER_DIGITS.contains(&text.bytes().filter(u8::is_ascii_digit).count());
        let fits = (1..=METHOD_TOKEN_MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && !is_number { Ok(Self(text.to_owned())) } else { Err(NotAMethodToken) }
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MethodToken {
    /// Leaves out the token, with which money can be taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MethodToken(…)")
    }
}

/// What a gateway is asked to take. The attempt is the idempotency key of its operations, together with the operation's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// One try: another card is another attempt.
    pub attempt: AttemptId,
    /// The payment, for the gateway's records.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
    /// From what.
    pub method: MethodToken,
    /// When the attempt was begun. Gateways forget idempotency keys after a day.
    pub begun_at: Timestamp,
}

/// What the fan must do before the gateway decides, such as 3-D Secure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextAction {
    /// The page to open.
    pub url: String,
}

/// Why a gateway refused, as a fan may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The issuer of the card refused, without saying why.
    Declined,
    /// The card has too little money.
    InsufficientFunds,
    /// The token is of no usable payment method.
    MethodInvalid,
    /// The fan failed to authenticate, or gave up.
    ActionFailed,
    /// The gateway never got the request, and the time for it is over.
    NotReceived,
    /// The gateway does not take what it had authorized.
    CaptureRefused,
    /// The gateway could not give the money back.
    RefundRefused,
    /// A dispute was decided for the seller. It fails the dispute, and no payment.
    DisputeWon,
}

impl FailureReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Declined,
        Self::InsufficientFunds,
        Self::MethodInvalid,
        Self::ActionFailed,
        Self::NotReceived,
        Self::CaptureRefused,
        Self::RefundRefused,
        Self::DisputeWon,
    ];

    /// The name in stores. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::MethodInvalid => "method_invalid",
            Self::ActionFailed => "action_failed",
            Self::NotReceived => "not_received",
            Self::CaptureRefused => "capture_refused",
            Self::RefundRefused => "refund_refused",
            Self::DisputeWon => "dispute_won",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// The state of a charge at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeStatus {
    /// It is not decided yet.
    Pending,
    /// The fan must act first.
    NeedsAction(NextAction),
    /// The amount is reserved on the card, and not taken.
    Authorized,
    /// The amount is taken.
    Captured,
    /// The amount was reserved and will never be taken.
    CaptureRefused,
    /// The reservation of the amount, or the attempt, was given up.
    Voided,
    /// It was refused.
    Declined(FailureReason),
}

/// The state of a refund at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// It is under way.
    Pending,
    /// The money is on its way to the card. It may still come back.
    Succeeded,
    /// The money could not be given back.
    Failed,
}

/// The state of a cardholder's dispute at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStatus {
    /// It is not decided. People must answer it at the gateway.
    Open,
    /// The money went back to the cardholder.
    Lost,
    /// The money stays.
    Won,
}

/// What a gateway knows of a charge: the answer of every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayView {
    /// The charge.
    pub charge: ChargeStatus,
    /// The refunds of it.
    pub refunds: Vec<(RefundId, RefundStatus)>,
}

impl GatewayView {
    /// A charge without refunds.
    pub fn of(charge: ChargeStatus) -> Self {
        Self { charge, refunds: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_no_token() {
        for token in ["4242424242424242", "4242-4242-4242-4242", "123456789012", "", "two words", "ü"] {
            assert_eq!(MethodToken::parse(token), Err(NotAMethodToken), "{token:?}");
        }
        assert!(MethodToken::parse(&"x".repeat(METHOD_TOKEN_MAX_LEN + 1)).is_err());
        for token in ["pm_1N4242424242424242", "12345", "sandbox_approve", &"9".repeat(20)] {
            assert_eq!(MethodToken::parse(token).expect("a token").as_str(), token);
        }
    }

    #[test]
    fn a_token_is_not_logged() {
        assert!(!format!("{:?}", MethodToken::parse("pm_secret").expect("a token")).contains("secret"));
    }

    #[test]
    fn reasons_are_read_by_their_names() {
        assert!(FailureReason::ALL.iter().all(|reason| FailureReason::named(reason.name()) == Some(*reason)));
    }
}
