use std::convert::Infallible;

use async_trait::async_trait;

use crate::error::{RequestError, Unavailable};
use crate::ids::{PaymentId, PerformanceId, UserId};
use crate::page::{Page, PageRequest};
use crate::payment::fan_payment::FanPayment;
use crate::payment::{Paid, PayRefusal, PaymentPlan, Settlement};
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

/// Pays holds. The check that the hold is live, the debit, the payment, the confirmation, the ledger entries and the event are one
/// transaction.
///
/// # Contract
/// - `pays_from_the_wallet`: the balance falls by the total, the reservation is confirmed and names the payment, its
///   claims have no deadline, both sides of the transfer sum to zero, and one event was written
/// - `pays_what_is_free`: a hold that costs nothing is paid by a fan without a wallet, who has one with a balance of zero after it
/// - `refuses_an_insufficient_balance`: [`PayRefusal::InsufficientBalance`] with balance and price; nothing changes
/// - `refuses_without_a_wallet`: the same, with a balance of zero
/// - `refuses_an_expired_hold`: from its deadline on, whether or not a sweep has ended it
/// - `refuses_what_is_not_held`: a reservation that was confirmed or released before
/// - `refuses_what_was_changed`: [`PayRefusal::HoldChanged`] if the hold was extended or lost seats after the payment was planned
/// - `repeats_a_payment`: the same request returns [`Applied::Before`] with the first payment and debits nothing
/// - `repeats_a_payment_under_contention`: twenty concurrent calls with the same request debit once and return the same payment
/// - `pays_once_under_contention`: of twenty concurrent requests for one hold, one pays
/// - `never_overdraws_under_contention`: of two holds paid concurrently from a balance for one, one is paid
/// - `finds_a_payment_by_its_request`: [`Payments::find_paid`] returns what a repeat of the payment would; `None` if the
///   request paid nothing
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`], for
///   [`Payments::find_paid`] too
/// - `payment_and_expiry_exclude_each_other`: of a payment just before the deadline and a concurrent sweep just after it,
///   exactly one takes effect
/// - `lists_newest_first`: those of one user, by id descending, each once, in pages of any size
/// - `lists_payments_by_card_among_them`: those that are open, failed or were made, and top-ups, each once, as
///   [`CardPayments`](super::CardPayments) tells them
/// - `tells_what_became_of_a_payment`: the balance right after it, whatever was paid since, and each refund
/// - `remembers_used_payloads`: [`QueueRecords::find_ended`](super::QueueRecords::find_ended) and `ended` return the token that a payment
///   ended from its commit on, for its queue only, propagated or not
/// - `remembers_what_to_propagate`: a payment is pending from its commit until it is marked as propagated
/// - `keeps_pending_performances_apart`: each performance with a pending payment is named once, and its payments are found whatever
///   is pending for others
/// - `ends_the_token_with_the_last_hold`: a payment that leaves the fan another live hold of the performance does not end the queue
///   token; one that leaves none does. Holds that were released or have expired are not live
/// - `ends_the_token_under_contention`: of concurrent payments of all holds of a fan, exactly one ends the token
/// - `payment_and_hold_exclude_each_other`: of the payment of the last hold and a concurrent hold with the same token, either the
///   payment leaves the token and the hold is placed, or the payment ends the token and the hold is refused
/// - `decides_each_of_those_together`: payments that arrive together get their own answers, as if they were made one after the other;
///   one that is refused or fails changes nothing for the others
/// - `pays_as_often_as_the_wallet_allows`: of a thousand concurrent payments from a wallet for a hundred, a hundred are made
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Payments: Send + Sync {
    /// Pays a hold from its owner's wallet.
    async fn pay_from_wallet(
        &self,
        plan: PaymentPlan,
        request: RequestKey,
    ) -> Result<Applied<Paid>, RequestError<PayRefusal>>;

    /// The payment that an earlier request made, as it was then.
    async fn find_paid(&self, request: RequestKey) -> Result<Option<Paid>, RequestError<Infallible>>;

    /// The payment of this id, from the wallet or by card, as it is now.
    async fn find(&self, id: PaymentId) -> Result<Option<FanPayment>, Unavailable>;

    /// The payments of a user as they are now, newest first.
    async fn list(
        &self,
        user: UserId,
        page: PageRequest<PaymentId>,
    ) -> Result<Page<FanPayment, PaymentId>, Unavailable>;

    /// The performances with payments made at or before `before` that are not known to be propagated to the seat locks and the
    /// queue, in any order.
    async fn performances_pending(&self, before: Timestamp) -> Result<Vec<PerformanceId>, Unavailable>;

    /// Such payments of one performance, oldest first, at most `limit`.
    async fn pending(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Settlement>, Unavailable>;

    /// Takes payments off [`Payments::pending`].
    async fn mark_propagated(&self, payments: &[PaymentId]) -> Result<(), Unavailable>;
}
