use async_trait::async_trait;

use crate::booking::{Reservation, ReservationCursor, ReservationFilter};
use crate::error::Unavailable;
use crate::page::{Page, PageRequest};
use crate::payment::fan_payment::{FanPayment, FanPaymentCursor};
use crate::sales_records::{RecordsOf, TimeRange};

/// Looks up reservations and payments over all fans, for those who work for the house. It changes nothing.
///
/// # Contract
/// - `lists_the_reservations_of_a_performance`: those of all fans in any state, by the time of the hold and then by id, descending, each
///   once, in pages of any size; not those of another performance
/// - `lists_the_reservations_of_a_fan`: in all performances or in one, in the same order
/// - `lists_reservations_by_state_and_time`: only those in these states at that moment that were held in the range; a hold whose
///   deadline has passed is expired
/// - `lists_the_payments_of_a_performance`: from wallets, propagated or not, and by card in any state, by the time at which they were
///   begun and then by id, descending, each once, in pages of any size; as [`Payments`](super::Payments) tells them
/// - `lists_the_payments_of_a_fan`: in all performances, with top-ups by card, or in one, without
/// - `lists_payments_by_time`: only those that were begun in the range
/// - `starts_a_page_of_records_anywhere`: after any time and id, also those that no record has
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SalesRecords: Send + Sync {
    /// The reservations that were held in a range of times and that a filter admits, newest first.
    async fn reservations(
        &self,
        of: RecordsOf,
        held: TimeRange,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable>;

    /// The payments that were begun in a range of times, as they are now, newest first.
    async fn payments(
        &self,
        of: RecordsOf,
        begun: TimeRange,
        page: PageRequest<FanPaymentCursor>,
    ) -> Result<Page<FanPayment, FanPaymentCursor>, Unavailable>;
}
