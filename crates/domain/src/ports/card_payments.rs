use std::convert::Infallible;

use async_trait::async_trait;

use crate::booking::Reservation;
use crate::error::{RequestError, Unavailable};
use crate::ids::PaymentId;
use crate::payment::PayRefusal;
use crate::payment::card::CardPayment;
use crate::payment::card_change::{CardChange, CardEffects, TakeUp};
use crate::payment::card_plan::CardPlan;
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

/// Keeps payments by card: each step is recorded before it is taken, and what it changes is one transaction with its record. Rules are
/// those of [`decide`](crate::payment::card_change::decide).
///
/// # Contract
/// - `starts_a_payment`: the hold is [paying](crate::booking::ReservationState::Paying) until the bound, its claims stay; the payment has one
///   attempt whose authorization is requested; one event was written
/// - `a_paying_hold_is_left_alone`: sweeps, releases, extensions, leaving the queue, payments from the wallet and other cards do not end
///   it; the fan's token is not ended by a payment of another hold
/// - `starts_only_on_a_live_hold`: holds that expired, were released, confirmed or changed are refused, and nothing changes
/// - `starts_once_under_contention`: of twenty concurrent attempts on one hold, one is begun
/// - `repeats_a_start`: the same request returns [`Applied::Before`] with the payment as it is now, and so does
///   [`CardPayments::find_started`]
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`]
/// - `gives_a_refused_card_s_hold_back`: the hold is live until its own deadline again, and another card is another attempt of the same
///   payment. A repeat of the placing request returns the hold as it was placed
/// - `confirms_a_payment`: the reservation is confirmed and names the payment; gateway → wallet → sales; the balance stays; the payment is
///   pending to be propagated; the queue token has ended; one event
/// - `confirms_once_under_contention`: of twenty concurrent confirmations, one has effects
/// - `expires_at_the_bound`: the reservation expires and its seats can be claimed again; the payment stays open
/// - `sells_late_if_the_seats_are_free`: an expired reservation is confirmed, and its seats are claimed again
/// - `gives_up_if_the_seats_are_taken`: a reserved amount is to be voided, and a taken one is refunded; nobody loses a seat
/// - `credits_a_top_up_that_was_captured`: the wallet gets the amount, once
/// - `revokes_what_was_never_taken`: the reservation is cancelled, its seats are free, and the ledger is as before
/// - `refunds_a_card`: a cancellation of a reservation that a card paid leaves the balance as it was; a refund that fails, at once or
///   after it succeeded, is credited to the wallet, once
/// - `takes_up_what_is_due`: payments that are due at that time, oldest first, at most `limit`; each is leased to one of concurrent
///   callers until `lease_until`, and is due again after that
/// - `hastens_what_a_hint_names`: a payment with something left to do is due at that time, unless it is due before; nothing else changes.
///   One that is over, or unknown, is left alone
/// - `keeps_a_hint_for_the_end_of_the_lease`: a hint, or a refund that is begun, does not end a lease. The gateway may have been asked
///   before the news, so the payment is due at once when the lease is given up, whatever time is asked for. It is due so once
/// - `hears_of_a_dispute`: a step of what was taken, once; the payment is due at once, also if it was over, but not while it is leased;
///   the money, the seats and the state of the payment stay
/// - `hears_of_another_dispute`: after one that was won, another is open again; after one that was lost there is none
/// - `gives_back_once_after_a_lost_dispute`: a refund that is begun after it, or that waited for it, succeeds without the gateway: the
///   transfers are those of any refund to a card, no report returns it to the wallet, and a comparison with the gateway finds no difference
/// - `writes_an_event_of_each_step`: authorized, captured, failed, refunded, and a refund that failed, each once, with the key of the
///   reservation's events
/// - `writes_events_of_what_goes_wrong`: a payment whose time was over, and each dispute when it is confirmed and when it is closed; none of
///   a refund of what was never taken. Those of a top-up have the key of the user
/// - `ignores_old_reports`: a report that says nothing new has no effects and no event
/// - `audits_card_payments`: the audit has no finding after any of this
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CardPayments: Send + Sync {
    /// Begins an attempt to pay by card. Another attempt for the same reservation belongs to the same payment.
    async fn start(
        &self,
        plan: CardPlan,
        request: RequestKey,
    ) -> Result<Applied<(CardPayment, Option<Reservation>)>, RequestError<PayRefusal>>;

    /// The payment of which an earlier request began an attempt, as it is now.
    async fn find_started(&self, request: RequestKey) -> Result<Option<CardPayment>, RequestError<Infallible>>;

    /// The payment of this id, if it is by card.
    async fn find(&self, id: PaymentId) -> Result<Option<CardPayment>, Unavailable>;

    /// Leases payments with something to do at `now` until `lease_until`.
    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<CardPayment>, Unavailable>;

    /// Makes a payment due at `at`, once it is not leased, if it has something left to do. Returns whether it has.
    async fn hasten(&self, payment: PaymentId, at: Timestamp) -> Result<bool, Unavailable>;

    /// Decides and applies a change, and sets when the payment is [due next](CardPayment::due_after), at once if there was a hint since it
    /// was leased. The use case has checked that the payment exists.
    async fn apply(
        &self,
        payment: PaymentId,
        change: CardChange,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), Unavailable>;
}
