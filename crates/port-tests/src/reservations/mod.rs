//! The cases of [`Reservations`](encore_domain::ports::Reservations).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::convert::Infallible;
use std::pin::Pin;

use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal};
use encore_domain::booking::{Claim, Reservation, ReservationFilter, ReservationState};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::RequestError;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::fixtures::{request, slots, start};
use crate::paging::read_all;

mod events;
mod expiring;
mod extending;
mod giving_back;
mod leaving;
mod placing;
mod repeating;

pub use events::*;
pub use expiring::*;
pub use extending::*;
pub use giving_back::*;
pub use leaving::*;
pub use placing::*;
pub use repeating::*;

/// Stamps the cases of the port `Reservations`.
#[macro_export]
macro_rules! reservations {
    ($($with:tt)+) => {
        $crate::suite! { reservations [
            places_a_hold,
            refuses_taken_seats,
            refuses_taken_seats_under_contention,
            same_seats_of_another_performance_are_free,
            refuses_over_the_limit,
            refuses_taken_seats_before_the_limit,
            refuses_over_the_limit_under_contention,
            repeats_a_hold,
            repeats_a_hold_under_contention,
            refuses_a_reused_request,
            repeats_across_versions,
            answers_each_of_many_at_once,
            releases_a_hold,
            releases_only_a_live_hold,
            repeats_a_release,
            gives_some_seats_back,
            gives_the_last_seats_back,
            gives_back_only_what_is_held,
            repeats_a_partial_release,
            extends_a_hold,
            extends_only_a_live_hold,
            repeats_an_extension,
            finds_a_change_by_its_request,
            changes_one_after_the_other,
            refuses_an_ended_token,
            releases_the_holds_of_who_leaves,
            leaves_once,
            leave_and_hold_exclude_each_other,
            expires_due_holds,
            expires_each_hold_once,
            lists_newest_first,
            lists_by_state,
            starts_a_page_of_reservations_anywhere,
            counts_the_seats_of_a_fan,
            lists_sold_seats,
            writes_events,
        ] $($with)+ }
    };
}

type PlaceAnswer = Result<Applied<Reservation>, RequestError<PlaceRefusal>>;
type ReleaseAnswer = Result<Applied<Reservation>, RequestError<ReleaseRefusal>>;
type ExtendAnswer = Result<Applied<Reservation>, RequestError<ExtendRefusal>>;

impl RecordBench {
    async fn try_place(&self, hold: &Reservation, limit: u32) -> PlaceAnswer {
        self.reservations.place(hold.clone(), limit, None, request(hold.user)).await
    }

    async fn place_again(&self, hold: Reservation, request: RequestKey) -> PlaceAnswer {
        self.reservations.place(hold, SEATS_PER_FAN_MAX, None, request).await
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>> {
        self.reservations.find_placed(request).await
    }

    async fn release(&self, hold: &Reservation, now: Timestamp) -> ReleaseAnswer {
        self.reservations.release(hold.id, now, Some(request(hold.user))).await
    }

    async fn release_seats(&self, hold: &Reservation, seats: &[usize], now: Timestamp) -> ReleaseAnswer {
        self.reservations.release_seats(hold.id, &slots(seats), now, Some(request(hold.user))).await
    }

    async fn extend(&self, hold: &Reservation, now: Timestamp, sale: &Performance) -> ExtendAnswer {
        self.reservations.extend(hold.id, extension(sale), now, request(hold.user)).await
    }

    async fn expire(&self, now: Timestamp, limit: u32) -> Vec<Reservation> {
        self.reservations.expire_due(now, limit).await.expect("the store answers")
    }

    /// All claims on seats of a performance.
    pub(crate) async fn claims(&self, performance: PerformanceId) -> Vec<Claim> {
        self.reservations.claims(performance).await.expect("the store answers")
    }

    async fn reservations_of(&self, user: UserId, page_size: u32) -> Vec<Reservation> {
        let all = ReservationFilter::all(start());
        read_all(page_size, |page| self.reservations.list(user, &all, page)).await
    }
}

/// The claims of these holds, in the order of their slots.
pub(crate) fn held<'a>(holds: impl IntoIterator<Item = &'a Reservation>) -> Vec<Claim> {
    let claim = |hold: &Reservation, slot| Claim::held(slot, hold.id, hold.user, hold.expires_at);
    let mut claims: Vec<Claim> =
        holds.into_iter().flat_map(|hold| hold.slots().into_iter().map(|slot| claim(hold, slot))).collect();
    claims.sort_by_key(|claim| claim.slot);
    claims
}

/// A change of a hold. Its result is whether the change was made.
type Change = Pin<Box<dyn Future<Output = bool> + Send>>;

fn extension(sale: &Performance) -> Extension {
    Extension { hold_for: sale.hold_for, starts_at: sale.starts_at, token_until: None }
}

fn settled(hold: &Reservation, state: ReservationState, at: Timestamp) -> Reservation {
    Reservation { state, settled_at: Some(at), ..hold.clone() }
}
