use std::convert::Infallible;

use async_trait::async_trait;
use thiserror::Error;

use crate::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal};
use crate::booking::{Claim, Reservation, ReservationCursor, ReservationFilter, SoldSeat};
use crate::catalog::seat_chart::Slot;
use crate::error::{RequestError, Unavailable};
use crate::ids::{PerformanceId, ReservationId, UserId};
use crate::page::{Page, PageRequest};
use crate::queue::{EndReason, QueueTokenPayload};
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

/// Why a hold was not placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceRefusal {
    /// These have a claim.
    #[error("some seats are taken")]
    SeatsTaken {
        /// Which, in order.
        slots: Vec<Slot>,
    },
    /// The fan would own more seats of the performance than one fan may.
    #[error("at most {limit} seats per fan, of which {owned} are held or bought already")]
    OverLimit {
        /// How many one fan may own.
        limit: u32,
        /// How many this fan owns.
        owned: u32,
    },
    /// The queue token of the fan has ended, so the hold could not be paid.
    #[error("the queue token has ended")]
    TokenEnded(EndReason),
}

/// Stores reservations and the claims on seats. A seat of a performance has at most one claim.
///
/// # Contract
/// - `places_a_hold`: it is read back as it was placed; its seats are claimed until its deadline
/// - `refuses_taken_seats`: [`PlaceRefusal::SeatsTaken`] names the taken seats only; the others stay free
/// - `refuses_taken_seats_under_contention`: of twenty concurrent holds of overlapping seats, no seat is claimed twice
/// - `same_seats_of_another_performance_are_free`: claims are per performance
/// - `refuses_over_the_limit`: the seats that the fan holds or bought, with the new ones, may not exceed `seats_per_fan`
/// - `refuses_taken_seats_before_the_limit`: where both rules refuse, the refusal is [`PlaceRefusal::SeatsTaken`]
/// - `refuses_over_the_limit_under_contention`: twenty concurrent holds of one fan do not exceed the limit
/// - `repeats_a_hold`: the same request returns [`Applied::Before`] with the reservation as it was placed, whatever its state is
///   now, and places nothing. A refused request is not remembered
/// - `repeats_a_hold_under_contention`: twenty concurrent calls with the same request place one hold
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`], for
///   [`Reservations::find_placed`] too
/// - `repeats_across_versions`: two requests are the same if
///   [`Fingerprint::repeats`](crate::request::Fingerprint::repeats) says so, for [`Reservations::find_placed`] and the changes of
///   a hold too
/// - `answers_each_of_many_at_once`: of concurrent holds of the same seats, repeats, holds over the limit and reused requests,
///   each gets a result that is possible in some sequential order
/// - `releases_a_hold`: the seats can be claimed again immediately
/// - `releases_only_a_live_hold`: a hold that was released or confirmed, or whose deadline has passed, is refused
/// - `repeats_a_release`: the same request returns [`Applied::Before`] with the released reservation
/// - `gives_some_seats_back`: the result is that of [`give_back`](crate::booking::hold_change::give_back). The other seats stay
///   claimed. The released seats can be claimed again immediately and no longer count against the fan's limit. The total of the
///   hold is that of the seats that are left
/// - `gives_the_last_seats_back`: the hold is released
/// - `gives_back_only_what_is_held`: seats that the hold does not have, and holds that are not live, are refused
/// - `repeats_a_partial_release`: the same request returns [`Applied::Before`] with the hold as that call left it, and releases
///   nothing. A repeat of the placing request still returns the hold as it was placed
/// - `extends_a_hold`: the result is that of [`Extension::of`], and no sweep ends the hold before the new deadline
/// - `extends_only_a_live_hold`: and only if the deadline becomes later
/// - `repeats_an_extension`: the same request returns [`Applied::Before`] with the hold as that call left it, and so does
///   [`Reservations::find_changed`]. A repeat of the placing request still returns the hold as it was placed
/// - `finds_a_change_by_its_request`: [`Reservations::find_changed`] returns what a repeat of a release, partial release or
///   extension would; `None` if the request changed nothing
/// - `changes_one_after_the_other`: of concurrent releases of each seat and extensions, all are made and none is lost
/// - `refuses_an_ended_token`: [`PlaceRefusal::TokenEnded`] after a payment or [`Reservations::leave`] has ended the queue token,
///   before any other refusal. A repeat is answered all the same
/// - `releases_the_holds_of_who_leaves`: all live holds of the fan in the performance end as released, with one event each; those of
///   other fans and performances stay. The token has ended from then on
/// - `leaves_once`: leaving again with the same token releases nothing, whatever the fan has held since
/// - `leave_and_hold_exclude_each_other`: after a fan left while placing a hold with the same token, no live hold is left
/// - `expires_due_holds`: exactly those whose deadline is at or before `now`, at most `limit`, oldest first; their
///   seats can be claimed again immediately
/// - `expires_each_hold_once`: of two concurrent sweeps, one reports it
/// - `lists_newest_first`: those of one user, by the time of the hold and then by id, descending, each once, in pages of any size
/// - `lists_by_state`: only reservations in these states at that moment; a hold whose deadline has passed is expired
/// - `starts_a_page_of_reservations_anywhere`: after any time and id, also those that no reservation has
/// - `counts_the_seats_of_a_fan`: held and sold, of one performance
/// - `lists_sold_seats`: those of the confirmed reservations of one performance, with what was paid for each, by their slots, each once, in
///   pages of any size; not those that are held, blocked or cancelled
/// - `writes_events`: placed, changed, released and expired, each once, in the transaction of the change; the event of a change names
///   the seats that the hold lost
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Reservations: Send + Sync {
    /// Claims the seats of a planned hold, all or none. `token` is the queue token with which the fan can pay for it, if there is
    /// one. Whether it has ended is looked up under the lock of the fan, which payments with a token and [`Reservations::leave`] take too.
    async fn place(
        &self,
        hold: Reservation,
        seats_per_fan: u32,
        token: Option<QueueTokenPayload>,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<PlaceRefusal>>;

    /// The hold that an earlier request placed, as it was placed.
    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>>;

    /// Releases all seats of a hold that is live at `now`. The use case has checked that the reservation exists and belongs to
    /// the caller.
    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>>;

    /// Releases some seats of a hold that is live at `now`: at least one, none twice. The use case has checked as before.
    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>>;

    /// Extends a hold that is live at `now`. The use case has checked as before.
    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<ExtendRefusal>>;

    /// The hold that an earlier request released or extended, as that call left it.
    async fn find_changed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>>;

    /// Ends a queue token whose fan leaves, and releases the holds of the fan in its performance that are live at `now`. Returns
    /// them.
    async fn leave(&self, token: QueueTokenPayload, now: Timestamp) -> Result<Vec<Reservation>, Unavailable>;

    /// Ends holds whose deadline has passed.
    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable>;

    /// The reservation of this id.
    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable>;

    /// The reservations of a user that a filter admits, newest first.
    async fn list(
        &self,
        user: UserId,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable>;

    /// How many seats of a performance a fan holds or has bought.
    async fn owned(&self, performance: PerformanceId, user: UserId) -> Result<u32, Unavailable>;

    /// The sold seats of a performance, in the order of their slots.
    async fn sold_seats(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<SoldSeat, Slot>, Unavailable>;

    /// All claims on seats of a performance, in the order of their slots.
    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable>;

    /// The claims on these seats, in the order of their slots. Seats without a claim are left out.
    async fn claims_on(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<Claim>, Unavailable>;
}
