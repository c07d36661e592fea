use std::collections::HashMap;

use encore_domain::audit::{HOLD_OVERDUE_AFTER, Promise};
use encore_domain::booking::seat_block::SeatBlock;
use encore_domain::booking::seat_state::{Locker, SeatOwner};
use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, ReservationId};

use crate::audit::{Sweep, is_live};

/// The most reservations that a finding about one seat names.
const OWNERS_NAMED: usize = 5;

type LiveSeats = HashMap<(PerformanceId, Slot), Vec<ReservationId>>;

pub fn check(audit: &mut Sweep) {
    let live = live_seats(audit);
    check_sold_twice(audit, &live);
    for reservation in audit.reservations().filter(|it| is_live(it.state)) {
        check_claims(audit, reservation, &live);
    }
    check_paid_seats(audit);
    check_orphans(audit);
    check_overdue(audit);
}

fn live_seats(audit: &Sweep) -> LiveSeats {
    let mut live = LiveSeats::new();
    for reservation in audit.reservations().filter(|it| is_live(it.state)) {
        for slot in reservation.slots() {
            live.entry((reservation.performance, slot)).or_default().push(reservation.id);
        }
    }
    live
}

fn check_sold_twice(audit: &mut Sweep, live: &LiveSeats) {
    audit.examine(Promise::DoubleSoldSeat, live.values().map(Vec::len).sum());
    for ((performance, slot), reservations) in live.iter().filter(|(_, reservations)| reservations.len() > 1) {
        let named: Vec<String> = reservations.iter().take(OWNERS_NAMED).map(ToString::to_string).collect();
        let detail = format!("{} live reservations have the seat: {}", reservations.len(), named.join(", "));
        audit.find(Promise::DoubleSoldSeat, audit.seat(*performance, *slot), detail);
    }
}

/// A seat of several live reservations is left out here, because it is reported as sold twice.
fn check_claims(audit: &mut Sweep, reservation: &Reservation, live: &LiveSeats) {
    let Reservation { id, performance, .. } = *reservation;
    let (promise, state) = if reservation.state == ReservationState::Confirmed {
        (Promise::PaidWithoutSeat, "confirmed")
    } else {
        (Promise::OrphanHold, "held")
    };
    let claims = audit.records.reservations.claims.get(&performance);
    for slot in reservation.slots() {
        let claimed =
            claims.and_then(|claims| claims.get(&slot)).is_some_and(|claim| claim.owner.locker() == Locker::Fan(id));
        if !claimed && live[&(performance, slot)].len() == 1 {
            let detail = format!("reservation {id} is {state} but has no claim on the seat");
            audit.find(promise, audit.seat(performance, slot), detail);
        }
    }
}

fn check_paid_seats(audit: &mut Sweep) {
    let confirmed: Vec<&Reservation> =
        audit.reservations().filter(|it| it.state == ReservationState::Confirmed).collect();
    audit.examine(Promise::PaidWithoutSeat, confirmed.len());
    for reservation in confirmed.iter().filter(|it| it.seats.is_empty()) {
        let subject = format!("reservation {}", reservation.id);
        audit.find(Promise::PaidWithoutSeat, subject, "confirmed, but lists no seat".to_owned());
    }
    let records = audit.records;
    for payment in audit.payments() {
        let state = records.reservations.find(payment.reservation).map(|reservation| reservation.state);
        if !matches!(state, Some(ReservationState::Confirmed | ReservationState::Cancelled)) {
            let detail = format!("its reservation {} is {state:?}", payment.reservation);
            audit.find(Promise::PaidWithoutSeat, format!("payment {}", payment.id), detail);
        }
    }
}

fn check_orphans(audit: &mut Sweep) {
    let records = audit.records;
    for (performance, claims) in &records.reservations.claims {
        if !audit.covers(*performance) {
            continue;
        }
        audit.examine(Promise::OrphanHold, claims.len());
        for claim in claims.values() {
            let detail = match claim.owner {
                SeatOwner::Holder { reservation, .. } | SeatOwner::Buyer { reservation, .. } => {
                    let why = reservation_mismatch(records.reservations.find(reservation), *performance, claim);
                    why.map(|why| format!("claimed by reservation {reservation}, which {why}"))
                }
                SeatOwner::Operators { block } => {
                    let why = block_mismatch(records.seat_blocks.block(block), *performance, claim);
                    why.map(|why| format!("claimed by block {block}, which {why}"))
                }
            };
            if let Some(detail) = detail {
                audit.find(Promise::OrphanHold, audit.seat(*performance, claim.slot), detail);
            }
        }
    }
    audit.examine(Promise::OrphanHold, 0);
}

fn reservation_mismatch(
    reservation: Option<&Reservation>,
    performance: PerformanceId,
    claim: &Claim,
) -> Option<String> {
    let Some(reservation) = reservation else { return Some("does not exist".to_owned()) };
    if !is_live(reservation.state) {
        Some(format!("is {:?}", reservation.state))
    } else if reservation.performance != performance {
        Some(format!("is for performance {}", reservation.performance))
    } else if !reservation.slots().contains(&claim.slot) {
        Some("does not list the seat".to_owned())
    } else {
        None
    }
}

fn block_mismatch(block: Option<&SeatBlock>, performance: PerformanceId, claim: &Claim) -> Option<String> {
    let Some(block) = block else { return Some("does not exist".to_owned()) };
    if block.performance != performance {
        Some(format!("is for performance {}", block.performance))
    } else if !block.slots.contains(&claim.slot) {
        Some("does not list the seat".to_owned())
    } else {
        None
    }
}

fn check_overdue(audit: &mut Sweep) {
    let held: Vec<&Reservation> = audit
        .reservations()
        .filter(|it| matches!(it.state, ReservationState::Held | ReservationState::Paying))
        .collect();
    audit.examine(Promise::OverdueHold, held.len());
    let outbox = &audit.records.outbox;
    let latest = outbox.records.back().map(|written| written.at).max(outbox.forgotten_before);
    let Some(latest) = latest else { return };
    for hold in held.iter().filter(|hold| hold.expires_at + HOLD_OVERDUE_AFTER < latest) {
        let detail = format!("held until {}, but an event was recorded at {latest}", hold.expires_at);
        audit.find(Promise::OverdueHold, format!("reservation {}", hold.id), detail);
    }
}
