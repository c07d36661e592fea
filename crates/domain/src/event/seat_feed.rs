//! The feed of seats: what each event changes about the status of each seat, and the map of a performance that is rebuilt from it.
//!
//! The feed has no record of its own: it follows from the events of the outbox. Its version of a seat is the number of the event in the
//! outbox. An event about a seat comes after the one before it had committed, so the version of a seat grows with each of its changes.

use std::collections::BTreeMap;

use crate::booking::Claim;
use crate::booking::seat_state::SeatStatus;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::event::Event;
use crate::payment::Payment;

/// What an event changes about a seat, or about a unit of a general admission area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatStatusChange {
    /// Which.
    pub slot: Slot,
    /// Its status until then; none if the event does not tell.
    pub before: Option<SeatStatus>,
    /// Its status from then on.
    pub after: SeatStatus,
}

/// Whether events of this kind may be about the status of seats.
pub fn is_about_seats(kind: &str) -> bool {
    kind.starts_with("booking.")
}

/// What an event changes about seats, in the order of their slots.
pub fn seat_changes(event: &Event) -> Vec<SeatStatusChange> {
    use SeatStatus::{Blocked, Free, Held, Sold};
    let (slots, before, after) = match event {
        Event::HoldPlaced(hold) => (hold.slots(), Some(Free), Held),
        Event::HoldChanged { released, .. } => (released.clone(), Some(Held), Free),
        Event::HoldReleased(hold) | Event::HoldExpired(hold) => (hold.slots(), Some(Held), Free),
        Event::ReservationConfirmed { reservation, payment: Payment { paid_at, .. } } => {
            // From its deadline on, a hold may have expired, and a payment by card sells its seats again.
            (reservation.slots(), (*paid_at < reservation.expires_at).then_some(Held), Sold)
        }
        Event::SeatsCancelled { refund, .. } => (refund.slots.clone(), Some(Sold), Free),
        // Operators may block seats that are blocked, for another reason.
        Event::SeatsBlocked(block) => (block.slots.clone(), None, Blocked),
        Event::SeatsUnblocked(unblock) => (unblock.slots.clone(), Some(Blocked), Free),
        Event::WalletToppedUp { .. }
        | Event::WalletWithdrawn { .. }
        | Event::PaymentChanged(_)
        | Event::UserSignedUp { .. }
        | Event::UserEmailVerified { .. }
        | Event::UserDeleted { .. }
        | Event::UserRoleChanged { .. }
        | Event::PerformancePublished { .. }
        | Event::PerformancePostponed { .. }
        | Event::PerformanceChanged { .. }
        | Event::PerformanceWithdrawn { .. }
        | Event::PerformanceCancelled { .. }
        | Event::QueueOpened(_)
        | Event::QueueChanged { .. } => return Vec::new(),
    };
    slots.into_iter().map(|slot| SeatStatusChange { slot, before, after }).collect()
}

/// What the feed said of a seat last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatInFeed {
    /// The status.
    pub status: SeatStatus,
    /// The number of the event in the outbox.
    pub version: i64,
}

/// The map of a performance, rebuilt from the feed. A seat of which the feed says nothing is free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatFeedMap {
    seats: BTreeMap<String, SeatInFeed>,
}

/// A seat that is not in the feed as it is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatDifference {
    /// The seat's ID.
    pub seat_id: String,
    /// What the feed said last; none if it never mentioned the seat.
    pub in_feed: Option<SeatInFeed>,
    /// The claim; none if the seat is free.
    pub claim: Option<Claim>,
}

impl SeatFeedMap {
    /// Takes a message of the feed. One that is not newer than what is known of the seat changes nothing: messages may be repeated.
    pub fn take(&mut self, seat_id: String, said: SeatInFeed) {
        let known = self.seats.entry(seat_id).or_insert(said);
        if known.version < said.version {
            *known = said;
        }
    }

    /// How many seats the feed mentioned.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether the feed mentioned none.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The seats whose claims are not what the feed says, in the order of their ids.
    pub fn differences(&self, chart: &SeatChart, claims: &[Claim]) -> Vec<SeatDifference> {
        let id = |claim: &Claim| chart.id_at(claim.slot).unwrap_or_else(|| format!("slot {}", claim.slot.0));
        let mut claimed: BTreeMap<String, Claim> = claims.iter().map(|claim| (id(claim), *claim)).collect();
        let mut differences = Vec::new();
        for (seat_id, said) in &self.seats {
            let claim = claimed.remove(seat_id);
            let is_seat = chart.slot_of(seat_id).is_some();
            if !is_seat || claim.map_or(SeatStatus::Free, |claim| claim.owner.status()) != said.status {
                differences.push(SeatDifference { seat_id: seat_id.clone(), in_feed: Some(*said), claim });
            }
        }
        let unmentioned = claimed.into_iter();
        differences.extend(unmentioned.map(|(seat_id, claim)| SeatDifference {
            seat_id,
            in_feed: None,
            claim: Some(claim),
        }));
        differences.sort_unstable_by(|one, other| one.seat_id.cmp(&other.seat_id));
        differences
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::booking::seat_block::{BlockReason, SeatBlock, SeatUnblock};
    use crate::booking::{Reservation, ReservationState, ReservedSeat};
    use crate::catalog::seat_chart::{Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection};
    use crate::ids::{BlockId, PaymentId, PerformanceId, RefundId, ReservationId, UserId};
    use crate::money::{Currency, Money};
    use crate::payment::PaymentMethod;
    use crate::payment::refund::{CancelledBy, Refund, RefundCause};
    use crate::time::Timestamp;

    const PERFORMANCE: PerformanceId = PerformanceId(Uuid::nil());
    const RESERVATION: ReservationId = ReservationId(Uuid::nil());
    const FAN: UserId = UserId(Uuid::nil());
    const BLOCK: BlockId = BlockId(Uuid::nil());

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).expect("a time")
    }

    fn euros(minor: i64) -> Money {
        Money { minor, currency: Currency::parse("EUR").expect("a currency") }
    }

    /// A hold of these slots until the second 100.
    fn hold(slots: &[u32]) -> Reservation {
        Reservation {
            id: RESERVATION,
            user: FAN,
            performance: PERFORMANCE,
            seats: slots.iter().map(|slot| ReservedSeat { slot: Slot(*slot), price_minor: 100 }).collect(),
            total: euros(100),
            state: ReservationState::Held,
            held_at: at(0),
            expires_at: at(100),
            settled_at: None,
            payment: None,
            cancelled_at: None,
            revision: 0,
        }
    }

    fn confirmed(paid_at: Timestamp) -> Event {
        let payment = Payment {
            id: PaymentId(Uuid::nil()),
            reservation: RESERVATION,
            user: FAN,
            performance: PERFORMANCE,
            amount: euros(100),
            paid_at,
            method: PaymentMethod::Card,
        };
        Event::ReservationConfirmed { reservation: hold(&[1]), payment }
    }

    fn cancelled(slots: &[u32]) -> Event {
        let refund = Refund {
            id: RefundId(Uuid::nil()),
            payment: PaymentId(Uuid::nil()),
            reservation: Some(RESERVATION),
            user: FAN,
            performance: Some(PERFORMANCE),
            slots: slots.iter().copied().map(Slot).collect(),
            is_whole: false,
            price: euros(100),
            fee_minor: 0,
            by: CancelledBy::Fan,
            cause: RefundCause::Cancelled,
            to_card: false,
            at: at(9),
        };
        Event::SeatsCancelled { reservation: hold(&[1]), refund }
    }

    fn changes(event: &Event) -> Vec<(u32, Option<SeatStatus>, SeatStatus)> {
        assert!(is_about_seats(event.kind()), "{}", event.kind());
        seat_changes(event).into_iter().map(|change| (change.slot.0, change.before, change.after)).collect()
    }

    #[test]
    fn every_event_of_seats_tells_what_it_changes() {
        use SeatStatus::{Blocked, Free, Held, Sold};
        assert_eq!(changes(&Event::HoldPlaced(hold(&[1, 2]))), [(1, Some(Free), Held), (2, Some(Free), Held)]);
        let less = Event::HoldChanged { hold: hold(&[1]), released: vec![Slot(2)], at: at(1) };
        assert_eq!(changes(&less), [(2, Some(Held), Free)], "what the hold keeps does not change");
        let longer = Event::HoldChanged { hold: hold(&[1]), released: vec![], at: at(1) };
        assert_eq!(changes(&longer), []);
        assert_eq!(changes(&Event::HoldReleased(hold(&[1]))), [(1, Some(Held), Free)]);
        assert_eq!(changes(&Event::HoldExpired(hold(&[1]))), [(1, Some(Held), Free)]);
        assert_eq!(changes(&cancelled(&[2])), [(2, Some(Sold), Free)], "not the seats that the reservation keeps");
        let (id, performance, operator, slots, at) = (BLOCK, PERFORMANCE, FAN, vec![Slot(3)], at(1));
        let reason = BlockReason::parse("house seats").expect("a reason");
        let block = SeatBlock { id, performance, operator, reason, slots: slots.clone(), at };
        assert_eq!(changes(&Event::SeatsBlocked(block)), [(3, None, Blocked)]);
        let unblock = SeatUnblock { id, performance, operator, slots, at };
        assert_eq!(changes(&Event::SeatsUnblocked(unblock)), [(3, Some(Blocked), Free)]);
    }

    #[test]
    fn a_late_payment_does_not_tell_whether_the_seats_were_free() {
        assert_eq!(changes(&confirmed(at(99))), [(1, Some(SeatStatus::Held), SeatStatus::Sold)]);
        assert_eq!(changes(&confirmed(at(100))), [(1, None, SeatStatus::Sold)]);
    }

    /// Two seats and two units.
    fn chart() -> SeatChart {
        let seat = |number: u32| PlannedSeat {
            id: format!("A-{number}"),
            number: number.to_string(),
            grade: 0,
            x: f64::from(number),
            y: 0.0,
            accessible: false,
        };
        let rows = vec![PlannedRow { label: "A".into(), seats: vec![seat(1), seat(2)] }];
        let general_admission = Some(PlannedArea { capacity: 2, grade: 0 });
        let sections = vec![
            PlannedSection { name: "Stalls".into(), rows, general_admission: None },
            PlannedSection { name: "Floor".into(), rows: vec![], general_admission },
        ];
        SeatChart::lay_out(sections, vec![Grade { name: "all".into(), color: String::new() }])
    }

    fn said(status: SeatStatus, version: i64) -> SeatInFeed {
        SeatInFeed { status, version }
    }

    #[test]
    fn an_older_message_changes_nothing() {
        let mut map = SeatFeedMap::default();
        map.take("A-1".into(), said(SeatStatus::Sold, 7));
        map.take("A-1".into(), said(SeatStatus::Held, 5));
        let seat = chart().slot_of("A-1").expect("a seat");
        assert_eq!(map.differences(&chart(), &[Claim::sold(seat, RESERVATION, FAN)]), []);
        assert_eq!((map.len(), map.is_empty()), (1, false));
    }

    #[test]
    fn whatever_differs_from_the_claims_is_found() {
        let chart = chart();
        let slot = |id: &str| chart.slot_of(id).expect("a seat");
        let unit = chart.areas()[0].slots().start;
        let unit_id = chart.id_at(Slot(unit)).expect("a unit");
        let mut map = SeatFeedMap::default();
        map.take("A-1".into(), said(SeatStatus::Held, 1));
        map.take("A-2".into(), said(SeatStatus::Free, 2));
        map.take("Z-9".into(), said(SeatStatus::Free, 3));
        let (sold, blocked) = (Claim::sold(slot("A-1"), RESERVATION, FAN), Claim::blocked(Slot(unit), BLOCK));
        let difference = |seat_id: &str, in_feed, claim| SeatDifference { seat_id: seat_id.into(), in_feed, claim };
        let mut expected = vec![
            difference("A-1", Some(said(SeatStatus::Held, 1)), Some(sold)),
            difference(&unit_id, None, Some(blocked)),
            difference("Z-9", Some(said(SeatStatus::Free, 3)), None),
        ];
        expected.sort_unstable_by(|one, other| one.seat_id.cmp(&other.seat_id));
        assert_eq!(map.differences(&chart, &[sold, blocked]), expected);

        map.take("A-1".into(), said(SeatStatus::Sold, 4));
        map.take(unit_id, said(SeatStatus::Blocked, 5));
        assert_eq!(map.differences(&chart, &[sold, blocked]).len(), 1, "Z-9 is still no seat of the venue");
    }
}
