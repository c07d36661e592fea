use std::collections::HashMap;

use encore_domain::audit::Promise;
use encore_domain::booking::ReservationState;
use encore_domain::event::OutboxRecord;
use encore_domain::ids::{ReservationId, UserId};
use encore_domain::wallet::TransferKind;
use uuid::Uuid;

use crate::audit::Sweep;
use crate::records::SeatBlockKind;
use crate::requests::Effect;

const PLACED: &str = "booking.hold_placed";
const CHANGED: &str = "booking.hold_changed";
const CONFIRMED: &str = "booking.reservation_confirmed";
const RELEASED: &str = "booking.hold_released";
const EXPIRED: &str = "booking.hold_expired";
const BLOCKED: &str = "booking.seats_blocked";
const UNBLOCKED: &str = "booking.seats_unblocked";
const TOPPED_UP: &str = "wallet.topped_up";
/// Those that tell what became of a reservation.
const OF_RESERVATIONS: [&str; 5] = [PLACED, CHANGED, CONFIRMED, RELEASED, EXPIRED];

pub fn check(audit: &mut Sweep) {
    requests(audit);
    paid_twice(audit);
    events(audit);
}

fn named(effect: Effect) -> String {
    match effect {
        Effect::Reservation(id) => format!("reservation {id}"),
        Effect::Payment(id) => format!("payment {id}"),
        Effect::TopUp(id) => format!("top-up {id}"),
    }
}

fn effects(audit: &Sweep) -> Vec<(UserId, Effect)> {
    let records = audit.records;
    let reservations = audit.reservations().map(|it| (it.user, Effect::Reservation(it.id)));
    let payments = audit.payments().map(|payment| (payment.user, Effect::Payment(payment.id)));
    let entries = records.wallets.entries.iter().filter(|_| audit.scope.is_none());
    let top_ups = entries.flat_map(|(user, entries)| {
        let top_ups = entries.values().filter(|entry| entry.kind == TransferKind::TopUp);
        top_ups.map(|entry| (*user, Effect::TopUp(entry.id)))
    });
    reservations.chain(payments).chain(top_ups).collect()
}

fn requests(audit: &mut Sweep) {
    let effects = effects(audit);
    audit.examine(Promise::RepeatedEffect, effects.len());
    let mut requests: HashMap<(UserId, Effect), usize> = HashMap::new();
    for effect in audit.records.requests.effects() {
        *requests.entry(effect).or_default() += 1;
    }
    for (user, effect) in effects {
        let made = requests.remove(&(user, effect)).unwrap_or(0);
        if made != 1 {
            audit.find(Promise::RepeatedEffect, named(effect), format!("{made} requests of user {user} made it"));
        }
    }
    let whole = audit.scope.is_none();
    for (user, effect) in requests.into_keys().filter(|_| whole) {
        let subject = format!("request of user {user}");
        audit.find(Promise::RepeatedEffect, subject, format!("its result, {}, is not there", named(effect)));
    }
}

fn paid_twice(audit: &mut Sweep) {
    let mut payments: HashMap<ReservationId, usize> = HashMap::new();
    for payment in audit.payments() {
        *payments.entry(payment.reservation).or_default() += 1;
    }
    for (reservation, payments) in payments.into_iter().filter(|(_, payments)| *payments > 1) {
        let detail = format!("{payments} payments paid for it");
        audit.find(Promise::RepeatedEffect, format!("reservation {reservation}"), detail);
    }
}

/// The events that should be there, by id, with their keys.
fn changes(audit: &Sweep) -> HashMap<String, Uuid> {
    let mut changes = HashMap::new();
    for reservation in audit.reservations() {
        let end = match reservation.state {
            ReservationState::Held => None,
            ReservationState::Confirmed => Some(CONFIRMED),
            ReservationState::Released => Some(RELEASED),
            ReservationState::Expired => Some(EXPIRED),
        };
        for kind in std::iter::once(PLACED).chain(end) {
            changes.insert(format!("{kind}/{}", reservation.id), reservation.performance.0);
        }
        for revision in 1..=reservation.revision {
            changes.insert(format!("{CHANGED}/{}/{revision}", reservation.id), reservation.performance.0);
        }
    }
    for (kind, id, performance) in audit.records.seat_blocks.changes() {
        if audit.covers(performance) {
            let kind = if kind == SeatBlockKind::Block { BLOCKED } else { UNBLOCKED };
            changes.insert(format!("{kind}/{id}"), performance.0);
        }
    }
    for (user, entries) in audit.records.wallets.entries.iter().filter(|_| audit.scope.is_none()) {
        for entry in entries.values().filter(|entry| entry.kind == TransferKind::TopUp) {
            changes.insert(format!("{TOPPED_UP}/{}", entry.transfer), user.0);
        }
    }
    changes
}

fn events(audit: &mut Sweep) {
    let mut changes = changes(audit);
    let mut placed: HashMap<&str, i64> = HashMap::new();
    let mut ended: HashMap<&str, i64> = HashMap::new();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for OutboxRecord { sequence, id, kind, key } in audit.records.outbox.0.iter().map(|written| &written.record) {
        let of_reservation = OF_RESERVATIONS.contains(&kind.as_str());
        let known = of_reservation || [BLOCKED, UNBLOCKED, TOPPED_UP].contains(&kind.as_str());
        if !known || audit.scope.is_some_and(|scope| scope.0 != *key) {
            continue;
        }
        audit.examine(Promise::OutboxGap, 1);
        let subject = format!("event {id}");
        let mut parts = id.split('/');
        let (told, of) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let again = times.entry(id).or_default();
        *again += 1;
        if *again > 1 {
            audit.find(Promise::OutboxGap, subject, format!("{again} times in the outbox"));
        } else if changes.remove(id) != Some(*key) || told != kind {
            let detail = format!("sequence {sequence} of kind {kind} under key {key} tells what is not so");
            audit.find(Promise::OutboxGap, subject, detail);
        }
        if of_reservation {
            if kind == PLACED { &mut placed } else { &mut ended }.entry(of).or_insert(*sequence);
        }
    }
    audit.examine(Promise::OutboxGap, 0);
    for (id, key) in changes {
        audit.find(Promise::OutboxGap, format!("event {id}"), format!("not in the outbox under key {key}"));
    }
    for (reservation, ended) in ended {
        if let Some(placed) = placed.get(reservation).filter(|placed| **placed > ended) {
            let detail = format!("placed at sequence {placed}, though ended at {ended}");
            audit.find(Promise::OutboxGap, format!("reservation {reservation}"), detail);
        }
    }
}
