use std::convert::Infallible;

use async_trait::async_trait;
use thiserror::Error;

use crate::booking::hold_change::{ExtendRefusal, Extension};
use crate::booking::{Claim, Reservation, ReservationCursor, ReservationState};
use crate::catalog::seat_chart::Slot;
use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, ReservationId, UserId};
use crate::page::{Page, PageRequest};
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

/// Why a hold was not placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceRefusal {
    /// Somebody has a claim on these.
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
}

/// Why a hold was not released, or not in part.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReleaseRefusal {
    /// It is not a live hold.
    #[error("the reservation is {state:?}, not held")]
    NotHeld {
        /// What it is instead.
        state: ReservationState,
    },
    /// It does not have these seats.
    #[error("some seats are not of the hold")]
    NotItsSeats {
        /// Which, as asked.
        slots: Vec<Slot>,
    },
}

/// Keeps reservations and the claims on seats: one claim per performance and seat, whoever asks, however often.
///
/// # Contract
/// - `places_a_hold`: read back equal to what was placed; its seats are claimed until its deadline
/// - `refuses_taken_seats`: [`PlaceRefusal::SeatsTaken`] names the taken ones only; the others stay free
/// - `refuses_taken_seats_under_contention`: of twenty at once on overlapping seats no seat is claimed twice
/// - `same_seats_of_another_performance_are_free`: claims are per performance
/// - `refuses_over_the_limit`: held plus sold, over `seats_per_fan`
/// - `refuses_taken_seats_before_the_limit`: where both rules say no, [`PlaceRefusal::SeatsTaken`] is the answer
/// - `refuses_over_the_limit_under_contention`: of twenty holds of one fan at once, no more than the limit
/// - `repeats_a_hold`: the same request answers [`Applied::Before`] with the reservation as it was placed, whatever
///   became of it, and places nothing; a hold that was refused left no trace of its request
/// - `repeats_a_hold_under_contention`: twenty of the same request at once place one hold
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`PortError::RequestReused`], for
///   [`Reservations::find_placed`] too
/// - `repeats_across_versions`: the same request is one for which
///   [`Fingerprint::repeats`](crate::request::Fingerprint::repeats) says so, for [`Reservations::find_placed`] and the changes
///   of a hold too
/// - `answers_each_of_many_at_once`: of holds of the same seats, repeats, holds over the limit and reused requests, all at
///   once, each has an answer that it could have had alone
/// - `releases_a_hold`: the seats can be claimed again at once
/// - `releases_only_a_live_hold`: one that was released, confirmed, or whose deadline passed is refused
/// - `repeats_a_release`: the same request answers [`Applied::Before`] with the released reservation
/// - `gives_some_seats_back`: what [`give_back`](crate::booking::hold_change::give_back) says; the others stay claimed, those given back
///   can be claimed again at once and no longer count against the fan's limit, and what the hold is paid with is what is left
/// - `gives_the_last_seats_back`: the hold is released
/// - `gives_back_only_what_is_held`: seats that the hold has not (any more), and holds that are not live, are refused
/// - `repeats_a_partial_release`: the same request answers [`Applied::Before`] with the hold as it was then, whatever became of
///   it, and gives nothing back; a repeat of the placing request still answers the hold as it was placed
/// - `extends_a_hold`: what [`Extension::of`] says, and no sweep ends it before
/// - `extends_only_a_live_hold`: and only while it gains by that
/// - `repeats_an_extension`: the same request answers [`Applied::Before`] with the hold as it was then, whatever became of it, for
///   [`Reservations::find_extended`] too; a repeat of the placing request still answers the hold as it was placed
/// - `changes_one_after_the_other`: of releases of each seat and extensions at once, all are made, and nothing is lost
/// - `expires_due_holds`: exactly those whose deadline is at or before `now`, at most `limit`, oldest first; their
///   seats can be claimed again at once
/// - `expires_each_hold_once`: of two sweeps at once, one reports it
/// - `lists_newest_first`: of one user, by the moment of holding and then id, descending, each once, over pages of any size
/// - `writes_events`: placed, changed, released and expired, each once, in the transaction of the change
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Reservations: Send + Sync {
    /// Claims the seats of a planned hold, all or none.
    async fn place(
        &self,
        hold: Reservation,
        seats_per_fan: u32,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, PortError<PlaceRefusal>>;

    /// The hold that an earlier request placed, as it was placed.
    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>>;

    /// Gives back the seats of a hold that is live at `now`. The reservation exists and is the caller's: the use case
    /// has checked.
    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, PortError<ReleaseRefusal>>;

    /// Gives back some seats of a hold that is live at `now`: at least one, none twice. The reservation exists and is the
    /// caller's.
    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, PortError<ReleaseRefusal>>;

    /// Extends a hold that is live at `now`. The reservation exists and is the caller's.
    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, PortError<ExtendRefusal>>;

    /// The hold that an earlier request extended, as it was then.
    async fn find_extended(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>>;

    /// Ends holds whose deadline has passed.
    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable>;

    /// The reservation of this id.
    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable>;

    /// The reservations of a user, newest first.
    async fn list(
        &self,
        user: UserId,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable>;

    /// All claims on seats of a performance, in the order of their slots.
    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable>;

    /// The claims on these seats, in the order of their slots; unaccepted seats are left out.
    async fn claims_on(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<Claim>, Unavailable>;
}
