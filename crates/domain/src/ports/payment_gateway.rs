use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::{AttemptId, PaymentId, RefundId};
use crate::money::Money;
use crate::payment::gateway::{Charge, DisputeStatus, GatewayView};

/// Takes money from cards and gives it back. Every operation answers with all that the gateway knows of the charge, so that any answer
/// can stand for any other.
///
/// An operation has an idempotency key made of its name and the attempt, or the refund. So a second card after a decline is another
/// charge. An error means that nobody knows whether the operation took effect: it is repeated, or looked up.
///
/// | operation | Stripe | Toss Payments, `PortOne` | Hyperswitch Prism |
/// |---|---|---|---|
/// | authorize | create a `PaymentIntent` with `capture_method=manual`, the attempt in `metadata`, `Idempotency-Key: create/<attempt>`, then confirm it; `requires_action` is a next action, `requires_capture` is authorized, `processing` is pending, `canceled` or an error of the card is declined | confirm by order id (the attempt) and amount, which captures at once; `READY`, `IN_PROGRESS` are pending, `DONE` is captured, `ABORTED`, `EXPIRED` are declined | `Authorize` with `capture_method: MANUAL` and `merchant_transaction_id`; `AUTHENTICATION_PENDING` is a next action, `AUTHORIZED`, `CHARGED`, `FAILURE` as they say |
/// | capture | capture the `PaymentIntent`; "already captured" is captured | none: never called | `Capture` |
/// | void | cancel the `PaymentIntent`; if it was captured, its state is the answer | cancel the payment in full; what was captured is captured and refunded | `Void` |
/// | refund | create a Refund with `Idempotency-Key: refund/<refund>`; `pending`, `succeeded`, `failed` as they say | cancel with `cancelAmount` and the refund as idempotency key; it answers with what is left | `Refund` with `merchant_refund_id` |
/// | look up | within a day create it again with the same key, later search by `metadata`, because a search lags; then its Refunds | payment by order id | `Get` by `merchant_transaction_id`, `RefundSync` |
///
/// A webhook of any of them is a hint to look up, never a fact. Disputes: Stripe lists them by `PaymentIntent`; the others tell of them
/// in the payment that is looked up.
///
/// # Contract
/// - `authorizes_and_captures`: a good card is authorized; where the gateway captures at once, it is captured; a capture takes it
/// - `repeats_an_operation`: the same operation of the same attempt again has no further effect and gets the same answer; a capture of
///   what is captured is a success
/// - `declines_a_bad_card`: with a reason, for ever; another attempt with a good card is not affected
/// - `asks_for_an_action`: the charge waits for the fan, and a void ends it
/// - `voids_what_is_authorized`: after that it is not captured
/// - `refunds_what_is_captured`: in parts that sum up to at most the amount; a refund of the same id is made once; more than is left
///   fails
/// - `looks_up_what_it_knows`: none for an attempt that never came; otherwise as the last answer
/// - `refuses_an_unknown_method`: a token that is none of the gateway's is declined, and is no error
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Whether an authorization takes the amount at once, so that there is no separate capture.
    fn captures_at_once(&self) -> bool;

    /// Reserves the amount.
    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable>;

    /// Takes the reserved amount.
    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable>;

    /// Gives up the reserved amount, or an attempt that waits for its fan.
    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable>;

    /// Gives back some of the amount that was taken.
    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable>;

    /// What the gateway knows of an attempt; none if it never came.
    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable>;

    /// The payment of a charge that the gateway calls by this name, as a webhook about a dispute does; none if it is not Encore's. A
    /// gateway without disputes knows none.
    async fn payment_of(&self, gateway_name: &str) -> Result<Option<PaymentId>, Unavailable> {
        let _ = gateway_name;
        Ok(None)
    }

    /// The latest dispute of a charge that was taken; none if nobody disputes it.
    async fn dispute(&self, charge: &Charge) -> Result<Option<DisputeStatus>, Unavailable> {
        let _ = charge;
        Ok(None)
    }
}

/// Acts for the fan at the sandbox gateway, where there is no page to open.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SandboxActions: Send + Sync {
    /// Completes the action that the charge waits for. Returns whether it waited for one.
    async fn complete(&self, attempt: AttemptId, succeeds: bool) -> bool;
}
