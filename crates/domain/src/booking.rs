//! Reservations: seats that are held for a fan for some minutes, and then paid, released or expired.

pub mod alternatives;
pub mod best_available;
pub mod hold_change;
pub mod search;
pub mod seat_block;
pub mod seat_copy;
pub mod seat_repair;
pub mod seat_request;
pub mod seat_state;
pub mod unit_search;

use std::borrow::Cow;

use thiserror::Error;
use uuid::Uuid;

use crate::booking::seat_state::SeatOwner;
use crate::catalog::seat_chart::{CHART_NAME_MAX_LEN, SeatChart, Slot, chart_name};
use crate::catalog::{NotOnSale, Performance};
use crate::ids::{BlockId, PaymentId, PerformanceId, ReservationId, UserId};
use crate::money::{Currency, Money};
use crate::request::RequestKey;
use crate::time::Timestamp;

/// The most seats of one hold: a family, not a block for resale.
pub const SEATS_PER_HOLD_MAX: usize = 8;

/// The state of a reservation: held ⇄ paying → confirmed → cancelled; held → expired | released; paying → expired. A card payment that
/// succeeds late confirms an expired reservation if its seats are still free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReservationState {
    /// The seats are held until the deadline.
    Held,
    /// A card payment of it is under way. The seats are held until the deadline, which is the hard bound of the payment, and nothing
    /// but the payment ends that.
    Paying,
    /// It is paid, and the seats are sold.
    Confirmed,
    /// The deadline passed unpaid; the seats are free again.
    Expired,
    /// The fan released the seats.
    Released,
    /// It was paid, and then all its seats were cancelled and refunded; the seats are free again.
    Cancelled,
}

/// A seat of a reservation and its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedSeat {
    /// Which seat of the venue's chart.
    pub slot: Slot,
    /// Minor units, in the currency of the reservation's total.
    pub price_minor: i64,
}

/// Seats of one performance for one fan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// See [`reservation_id`].
    pub id: ReservationId,
    /// The fan.
    pub user: UserId,
    /// The performance.
    pub performance: PerformanceId,
    /// In the order of their slots.
    pub seats: Vec<ReservedSeat>,
    /// The sum of the prices.
    pub total: Money,
    /// The stored state; see [`Reservation::state_at`].
    pub state: ReservationState,
    /// When the seats were held.
    pub held_at: Timestamp,
    /// The hold's deadline: it is live before this moment.
    pub expires_at: Timestamp,
    /// When it was confirmed, expired or released.
    pub settled_at: Option<Timestamp>,
    /// The payment of it.
    pub payment: Option<PaymentId>,
    /// When its last seats were cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// How often the fan changed it while it was held; see [`hold_change`](crate::booking::hold_change).
    pub revision: u32,
}

/// Which reservations a listing has, by their state at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationFilter {
    /// The states; empty for all.
    pub states: Vec<ReservationState>,
    /// The moment: a hold whose deadline has passed is expired.
    pub now: Timestamp,
}

impl ReservationFilter {
    /// All reservations.
    pub fn all(now: Timestamp) -> Self {
        Self { states: Vec::new(), now }
    }

    /// Whether the listing has this reservation.
    pub fn admits(&self, reservation: &Reservation) -> bool {
        self.states.is_empty() || self.states.contains(&reservation.state_at(self.now))
    }
}

/// The position in a listing of a fan's reservations. The listing continues with those held earlier, or at the same time with a lower
/// id.
pub type ReservationCursor = (Timestamp, ReservationId);

/// The id of the reservation that a request makes. It is derived from the request, so that a repeat on any instance has the same id. A
/// repeat that runs while the first call is under way then finds its own seat locks and not those of another owner.
pub fn reservation_id(request: &RequestKey) -> ReservationId {
    ReservationId(Uuid::new_v5(&request.user.0, request.id.0.as_bytes()))
}

impl Reservation {
    /// See [`ReservationCursor`].
    pub fn cursor(&self) -> ReservationCursor {
        (self.held_at, self.id)
    }

    /// The state at `now`. A hold whose deadline has passed is expired even if no sweep has ended it yet.
    pub fn state_at(&self, now: Timestamp) -> ReservationState {
        if self.state == ReservationState::Held && now >= self.expires_at {
            ReservationState::Expired
        } else {
            self.state
        }
    }

    /// The reservation as it was placed, if it was never changed. A repeat of the hold returns it.
    pub fn as_placed(mut self) -> Self {
        self.state = ReservationState::Held;
        self.settled_at = None;
        self.payment = None;
        self.cancelled_at = None;
        self
    }

    /// The slots of its seats.
    pub fn slots(&self) -> Vec<Slot> {
        self.seats.iter().map(|seat| seat.slot).collect()
    }
}

/// The record that a seat is held, sold or blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which seat.
    pub slot: Slot,
    /// Its owner.
    pub owner: SeatOwner,
}

impl Claim {
    /// The claim of a hold.
    pub fn held(slot: Slot, reservation: ReservationId, user: UserId, until: Timestamp) -> Self {
        Self { slot, owner: SeatOwner::Holder { reservation, user, until } }
    }

    /// The claim of a confirmed reservation.
    pub fn sold(slot: Slot, reservation: ReservationId, user: UserId) -> Self {
        Self { slot, owner: SeatOwner::Buyer { reservation, user } }
    }

    /// The claim of the operators.
    pub fn blocked(slot: Slot, block: BlockId) -> Self {
        Self { slot, owner: SeatOwner::Operators { block } }
    }
}

/// A seat of a confirmed reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoldSeat {
    /// Which seat.
    pub slot: Slot,
    /// The reservation.
    pub reservation: ReservationId,
    /// Who bought it.
    pub user: UserId,
    /// When the reservation was confirmed.
    pub confirmed_at: Timestamp,
    /// What was paid for it, in minor units of the currency of the performance.
    pub price_minor: i64,
}

/// The seats that a fan names: 1 to [`SEATS_PER_HOLD_MAX`], none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatSelection(Vec<String>);

/// An error in a list of named seats.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// No seat was named.
    #[error("must name at least 1 seat")]
    Empty,
    /// More seats than a hold may have.
    #[error("must name at most {SEATS_PER_HOLD_MAX} seats")]
    TooMany,
    /// The name at this index is not one that a seat can have.
    #[error("must be 1 to {CHART_NAME_MAX_LEN} bytes without control, invisible or unassigned characters")]
    NotAName {
        /// Where in the list.
        index: usize,
    },
    /// The seat at this index was named before.
    #[error("must not name seat {seat_id:?} twice")]
    Duplicate {
        /// Where in the list.
        index: usize,
        /// Which seat.
        seat_id: String,
    },
}

impl SeatSelection {
    /// Checks a list of seat ids and reports all errors.
    pub fn parse(seat_ids: Vec<String>) -> Result<Self, Vec<SelectionError>> {
        let mut errors = Vec::new();
        if seat_ids.is_empty() {
            errors.push(SelectionError::Empty);
        }
        if seat_ids.len() > SEATS_PER_HOLD_MAX {
            errors.push(SelectionError::TooMany);
        }
        let mut named = Vec::new();
        for (index, seat_id) in seat_ids.into_iter().enumerate().take(SEATS_PER_HOLD_MAX) {
            match chart_name(&seat_id).map(Cow::into_owned) {
                None => errors.push(SelectionError::NotAName { index }),
                Some(seat_id) if named.contains(&seat_id) => errors.push(SelectionError::Duplicate { index, seat_id }),
                Some(seat_id) => named.push(seat_id),
            }
        }
        if errors.is_empty() { Ok(Self(named)) } else { Err(errors) }
    }

    /// The seats and units of a venue that are named, in the order of their slots.
    pub fn slots(&self, chart: &SeatChart) -> Result<Vec<Slot>, HoldRefusal> {
        let unknown: Vec<String> = self.0.iter().filter(|id| chart.slot_of(id).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(HoldRefusal::UnknownSeats { seat_ids: unknown });
        }
        let mut slots: Vec<Slot> = self.0.iter().filter_map(|id| chart.slot_of(id)).collect();
        slots.sort_unstable();
        Ok(slots)
    }

    /// The same for seats only, since units are sold by count.
    pub fn seat_slots(&self, chart: &SeatChart) -> Result<Vec<Slot>, HoldRefusal> {
        let units: Vec<String> = self.0.iter().filter(|id| chart.unit(id).is_some()).cloned().collect();
        if units.is_empty() { self.slots(chart) } else { Err(HoldRefusal::UnitsNamed { seat_ids: units }) }
    }
}

/// Why seats cannot be held, before any store is asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HoldRefusal {
    /// The sale is not open.
    #[error(transparent)]
    NotOnSale(#[from] NotOnSale),
    /// The venue has no such seats.
    #[error("the venue has no such seats: {}", .seat_ids.join(", "))]
    UnknownSeats {
        /// The ids that are not in the chart.
        seat_ids: Vec<String>,
    },
    /// These are of grades without a price.
    #[error("these seats are not for sale: {}", .seat_ids.join(", "))]
    NotForSale {
        /// Which.
        seat_ids: Vec<String>,
    },
    /// These are units of general admission areas, which are sold by count.
    #[error("units of general admission areas cannot be named: {}", .seat_ids.join(", "))]
    UnitsNamed {
        /// Which.
        seat_ids: Vec<String>,
    },
    /// These sections are general admission areas, which have no seats to choose from.
    #[error("general admission areas have no seats: {}", .names.join(", "))]
    GeneralAdmissionAreas {
        /// Which.
        names: Vec<String>,
    },
    /// This section has seats, which are not sold by count.
    #[error("the section {name} is no general admission area")]
    NotAGeneralAdmissionArea {
        /// Which.
        name: String,
    },
    /// The venue has no such sections.
    #[error("the venue has no such sections: {}", .names.join(", "))]
    UnknownSections {
        /// Those that are not in the chart.
        names: Vec<String>,
    },
    /// The venue has no such grades.
    #[error("the venue has no such grades: {}", .names.join(", "))]
    UnknownGrades {
        /// Those that are not in the chart.
        names: Vec<String>,
    },
    /// These are accessible seats, and the request does not say that the fan needs them.
    #[error("accessible seats must be requested as such: {}", .seat_ids.join(", "))]
    AccessibleSeats {
        /// Those of the named seats that are accessible, in the order of the venue.
        seat_ids: Vec<String>,
    },
    /// The price limit is in another currency than the prices.
    #[error("the prices are in {sold_in}")]
    OtherCurrency {
        /// The currency of the prices.
        sold_in: Currency,
    },
}

/// The terms of a hold, apart from its seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldTerms {
    /// See [`reservation_id`].
    pub id: ReservationId,
    /// Whose it is.
    pub user: UserId,
    /// When the seats are held.
    pub held_at: Timestamp,
    /// The deadline.
    pub expires_at: Timestamp,
}

impl HoldTerms {
    /// Decides the terms of a hold that a request makes at `now`. The hold ends when the show begins, at the latest.
    pub fn new(performance: &Performance, request: &RequestKey, now: Timestamp) -> Result<Self, NotOnSale> {
        performance.check_on_sale(now)?;
        let expires_at = performance.starts_at.min(now + performance.hold_for);
        Ok(Self { id: reservation_id(request), user: request.user, held_at: now, expires_at })
    }

    /// The same for a fan whose queue token has this deadline, if there is one. The hold ends with it at the latest, so every
    /// live hold can be paid.
    pub fn within(self, token_until: Option<Timestamp>) -> Self {
        let expires_at = token_until.map_or(self.expires_at, |until| until.min(self.expires_at));
        Self { expires_at, ..self }
    }
}

/// Plans a hold of these seats. Prices and total come from the performance, not from the caller.
pub fn plan_hold(
    performance: &Performance,
    chart: &SeatChart,
    slots: &[Slot],
    terms: HoldTerms,
) -> Result<Reservation, HoldRefusal> {
    let mut seats = Vec::with_capacity(slots.len());
    let (mut unknown, mut not_for_sale) = (Vec::new(), Vec::new());
    for slot in slots {
        match chart.grade_at(*slot).map(|grade| performance.prices.of(grade)) {
            Some(Some(price)) => seats.push(ReservedSeat { slot: *slot, price_minor: price.minor }),
            Some(None) => not_for_sale.extend(chart.id_at(*slot)),
            None => unknown.push(format!("slot {}", slot.0)),
        }
    }
    if !unknown.is_empty() {
        return Err(HoldRefusal::UnknownSeats { seat_ids: unknown });
    }
    if !not_for_sale.is_empty() {
        return Err(HoldRefusal::NotForSale { seat_ids: not_for_sale });
    }
    let total_minor = seats.iter().map(|seat| seat.price_minor).sum();
    let HoldTerms { id, user, held_at, expires_at } = terms;
    Ok(Reservation {
        id,
        user,
        performance: performance.id,
        seats,
        total: Money { minor: total_minor, currency: performance.prices.currency },
        state: ReservationState::Held,
        held_at,
        expires_at,
        settled_at: None,
        payment: None,
        cancelled_at: None,
        revision: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_reports_all_that_is_wrong() {
        let mut ids: Vec<String> = (0..9).map(|n| format!("A-{n}")).collect();
        ids[3] = "A-1".into();
        let errors = SeatSelection::parse(ids).expect_err("nine seats, one twice");
        assert_eq!(errors, [SelectionError::TooMany, SelectionError::Duplicate { index: 3, seat_id: "A-1".into() }]);
        assert_eq!(SeatSelection::parse(vec![]), Err(vec![SelectionError::Empty]));
    }
}
