use std::convert::Infallible;

use async_trait::async_trait;

use crate::error::{RequestError, Unavailable};
use crate::ids::PaymentId;
use crate::payment::refund::{CancelPlan, CancelRefusal, Cancelled, Refund};
use crate::request::{Applied, RequestKey};

/// Cancels paid seats. The end of their claims, the refund, the transfer to the wallet and the event are one transaction.
///
/// # Contract
/// - `cancels_a_reservation`: its seats can be claimed again immediately and no longer count against the fan's limit; the wallet
///   gets the price; both sides of the transfer sum to zero; the reservation is cancelled and says when; one event was written
/// - `cancels_some_seats`: the others stay sold; the total is that of the seats that are left; the last ones end the reservation
/// - `keeps_a_fee`: the wallet gets the price without the fee, which stays in the sales
/// - `cancels_only_what_is_confirmed`: holds, released, expired and cancelled reservations, and seats that the reservation does not
///   have, are refused, and nothing changes
/// - `repeats_a_cancellation`: the same request returns [`Applied::Before`] with the reservation as that call left it, and so does
///   [`Refunds::find_cancelled`]; nothing is paid back twice. A repeat of the hold and of the payment returns their first result
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`], for
///   [`Refunds::find_cancelled`] too
/// - `cancels_once_under_contention`: of twenty concurrent requests for one reservation, one cancels
/// - `audits_cancellations`: the audit has no finding after cancellations of all and of some seats, with and without a fee
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Refunds: Send + Sync {
    /// Cancels seats of a confirmed reservation. The use case has checked that the reservation exists and that the caller may cancel
    /// it.
    async fn cancel(
        &self,
        plan: CancelPlan,
        request: RequestKey,
    ) -> Result<Applied<Cancelled>, RequestError<CancelRefusal>>;

    /// The cancellation that an earlier request made, as that call left the reservation.
    async fn find_cancelled(&self, request: RequestKey) -> Result<Option<Cancelled>, RequestError<Infallible>>;

    /// The refunds of a payment, oldest first.
    async fn of_payment(&self, payment: PaymentId) -> Result<Vec<Refund>, Unavailable>;
}
