use std::collections::HashMap;

use encore_domain::audit::Promise;
use encore_domain::booking::ReservationState;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::ids::{ReservationId, TransferId, UserId};
use encore_domain::payment::Payment;
use encore_domain::payment::attempt::Step;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::card_events::events_of;
use encore_domain::payment::refund::{CancelledBy, Refund, RefundCause};
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TransferKind, WalletEntry};
use uuid::Uuid;

use crate::audit::Sweep;
use crate::records::{Milestone, SeatBlockKind};
use crate::requests::Effect;

const PLACED: &str = "booking.hold_placed";
const CHANGED: &str = "booking.hold_changed";
const CONFIRMED: &str = "booking.reservation_confirmed";
const RELEASED: &str = "booking.hold_released";
const EXPIRED: &str = "booking.hold_expired";
const CANCELLED: &str = "booking.reservation_cancelled";
const SEATS_CANCELLED: &str = "booking.seats_cancelled";
const BLOCKED: &str = "booking.seats_blocked";
const UNBLOCKED: &str = "booking.seats_unblocked";
const TOPPED_UP: &str = "wallet.topped_up";
const WITHDRAWN: &str = "wallet.withdrawn";
const PERFORMANCE_CANCELLED: &str = "catalog.performance_cancelled";
const QUEUE_OPENED: &str = "queue.opened";
/// How the kinds of events of payments by card begin.
const OF_PAYMENTS: &str = "payment.";
/// The kinds of the other events that are matched with their changes.
const OTHERS: [&str; 8] =
    [CANCELLED, SEATS_CANCELLED, BLOCKED, UNBLOCKED, TOPPED_UP, WITHDRAWN, PERFORMANCE_CANCELLED, QUEUE_OPENED];
/// The kinds of the events whose id has that of a reservation.
const OF_RESERVATIONS: [&str; 5] = [PLACED, CHANGED, CONFIRMED, RELEASED, EXPIRED];

pub fn check(audit: &mut Sweep) {
    check_requests(audit);
    check_paid_twice(audit);
    check_events(audit);
}

fn named(effect: Effect) -> String {
    match effect {
        Effect::Reservation(id) => format!("reservation {id}"),
        Effect::Payment(id) => format!("payment {id}"),
        Effect::TopUp(id) => format!("top-up {id}"),
        Effect::Refund(id) => format!("refund {id}"),
        Effect::Attempt(id) => format!("attempt {id}"),
    }
}

fn effects(audit: &Sweep) -> Vec<(UserId, Effect)> {
    let records = audit.records;
    let reservations = audit.reservations().map(|it| (it.user, Effect::Reservation(it.id)));
    let by_card = |payment: &&Payment| records.cards.payments.contains_key(&payment.id);
    let payments =
        audit.payments().filter(|payment| !by_card(payment)).map(|payment| (payment.user, Effect::Payment(payment.id)));
    let entries = records.wallets.entries.iter().filter(|_| audit.scope.is_none());
    let top_ups = entries.flat_map(|(user, entries)| {
        let top_ups = entries.values().filter(|entry| entry.kind == TransferKind::TopUp && entry.payment.is_none());
        top_ups.map(|entry| (*user, Effect::TopUp(entry.id)))
    });
    let entries = records.wallets.entries.values().filter(|_| audit.scope.is_none());
    let credits = entries.flat_map(|entries| entries.values()).filter_map(|entry| {
        let (operator, _) = records.wallets.credits.get(&entry.transfer)?;
        Some((*operator, Effect::TopUp(entry.id)))
    });
    let refunds = audit.refunds();
    let refunds = refunds.filter(|it| it.by == CancelledBy::Fan && it.cause == RefundCause::Cancelled);
    let refunds = refunds.map(|refund| (refund.user, Effect::Refund(refund.id)));
    let attempts = audit.cards().flat_map(|card| card.attempts.iter().map(|it| (card.user, Effect::Attempt(it.id))));
    reservations.chain(payments).chain(top_ups).chain(credits).chain(refunds).chain(attempts).collect()
}

fn check_requests(audit: &mut Sweep) {
    let effects = effects(audit);
    audit.examine(Promise::RepeatedEffect, effects.len());
    let mut requests: HashMap<(UserId, Effect), usize> = HashMap::new();
    for effect in audit.records.requests.effects() {
        *requests.entry(effect).or_default() += 1;
    }
    for (user, effect) in effects {
        let made = requests.remove(&(user, effect)).unwrap_or(0);
        let held_at = match effect {
            Effect::Reservation(id) => audit.records.reservations.find(id).map(|it| it.held_at),
            Effect::Payment(_) | Effect::TopUp(_) | Effect::Refund(_) | Effect::Attempt(_) => None,
        };
        let forgotten_before = audit.records.requests.forgotten_before;
        let is_forgotten = made == 0 && held_at.is_some_and(|at| forgotten_before.is_some_and(|moment| at <= moment));
        if made != 1 && !is_forgotten {
            audit.find(
                Promise::RepeatedEffect,
                named(effect),
                format!("it is the result of {made} requests of user {user}"),
            );
        }
    }
    let is_unscoped = audit.scope.is_none();
    for (user, effect) in requests.into_keys().filter(|_| is_unscoped) {
        let subject = format!("request of user {user}");
        audit.find(Promise::RepeatedEffect, subject, format!("its result, {}, does not exist", named(effect)));
    }
}

fn check_paid_twice(audit: &mut Sweep) {
    let mut payments: HashMap<ReservationId, usize> = HashMap::new();
    for payment in audit.payments() {
        *payments.entry(payment.reservation).or_default() += 1;
    }
    for (reservation, payments) in payments.into_iter().filter(|(_, payments)| *payments > 1) {
        let detail = format!("it has {payments} payments");
        audit.find(Promise::RepeatedEffect, format!("reservation {reservation}"), detail);
    }
}

/// Whether a card payment gave up a reservation at its bound.
fn has_expired(audit: &Sweep, reservation: ReservationId) -> bool {
    let cards = &audit.records.cards;
    let card = cards.by_reservation.get(&reservation).and_then(|id| cards.payments.get(id));
    let mut events = card.into_iter().flat_map(|card| &card.attempts).flat_map(|attempt| &attempt.events);
    events.any(|event| event.step == Step::Expire)
}

/// Whether money came to a wallet that was not paid out of it before.
fn is_credit(kind: TransferKind) -> bool {
    matches!(kind, TransferKind::TopUp | TransferKind::OperatorCredit)
}

/// Whether a fan withdrew the money to a card.
fn is_withdrawal(audit: &Sweep, entry: &WalletEntry) -> bool {
    let refund = entry.refund.and_then(|refund| audit.records.payments.refunds.get(&refund));
    entry.kind == TransferKind::CardRefund && refund.is_some_and(|refund| refund.cause == RefundCause::Withdrawn)
}

/// The events that the outbox must have, unless it has forgotten them: their ids, with their keys and when the changes were made. A change
/// of a hold counts as old as the hold.
fn expected_events(audit: &Sweep) -> HashMap<String, (Uuid, Timestamp)> {
    let mut expected = HashMap::new();
    for reservation in audit.reservations() {
        let end = match reservation.state {
            ReservationState::Held | ReservationState::Paying => None,
            ReservationState::Confirmed | ReservationState::Cancelled => Some(CONFIRMED),
            ReservationState::Released => Some(RELEASED),
            ReservationState::Expired => Some(EXPIRED),
        };
        // A card payment that succeeded after its bound confirmed a reservation that had expired.
        let is_sold_again = end == Some(CONFIRMED) && has_expired(audit, reservation.id);
        let (held_at, settled_at) = (reservation.held_at, reservation.settled_at.unwrap_or(reservation.held_at));
        let ends = end.map(|kind| (kind, settled_at)).into_iter().chain(is_sold_again.then_some((EXPIRED, held_at)));
        for (kind, at) in std::iter::once((PLACED, held_at)).chain(ends) {
            expected.insert(format!("{kind}/{}", reservation.id), (reservation.performance.0, at));
        }
        for revision in 1..=reservation.revision {
            expected.insert(format!("{CHANGED}/{}/{revision}", reservation.id), (reservation.performance.0, held_at));
        }
    }
    for refund in audit.refunds() {
        let kind = if refund.is_whole { CANCELLED } else { SEATS_CANCELLED };
        if let Some(performance) = refund.performance.filter(|_| refund.cause.is_of_seats()) {
            expected.insert(format!("{kind}/{}", refund.id), (performance.0, refund.at));
        }
    }
    for (kind, id, performance, at) in audit.records.seat_blocks.changes() {
        if audit.covers(performance) {
            let kind = if kind == SeatBlockKind::Block { BLOCKED } else { UNBLOCKED };
            expected.insert(format!("{kind}/{id}"), (performance.0, at));
        }
    }
    for (user, entries) in audit.records.wallets.entries.iter().filter(|_| audit.scope.is_none()) {
        for entry in entries.values().filter(|entry| is_credit(entry.kind)) {
            expected.insert(format!("{TOPPED_UP}/{}", entry.transfer), (user.0, entry.at));
        }
        for entry in entries.values().filter(|entry| is_withdrawal(audit, entry)) {
            expected.insert(format!("{WITHDRAWN}/{}", entry.transfer), (user.0, entry.at));
        }
    }
    for ((performance, milestone), at) in &audit.records.catalog.milestones {
        let kind = match milestone {
            Milestone::QueueOpened => QUEUE_OPENED,
            Milestone::Cancelled => PERFORMANCE_CANCELLED,
        };
        if audit.covers(*performance) {
            expected.insert(format!("{kind}/{performance}"), (performance.0, *at));
        }
    }
    let steps = audit.cards().flat_map(|card| events_of_card(audit, card));
    expected.extend(steps.map(|event| (event.id(), (event.key(), event.at()))));
    expected
}

/// The events of all attempts of a payment by card.
fn events_of_card(audit: &Sweep, card: &CardPayment) -> Vec<Event> {
    let mut steps = card.attempts.iter().flat_map(|attempt| &attempt.events);
    let is_refunded = steps.any(|event| matches!(event.step, Step::Refund(_)));
    let refunds = if is_refunded { audit.records.payments.refunds_of(card.id) } else { Vec::new() };
    let refunds: Vec<Refund> = refunds.into_iter().cloned().collect();
    let of_attempt = |index: usize| {
        // As it was before the first step.
        let mut before = CardPayment { refunds: refunds.clone(), ..card.clone() };
        before.attempts.truncate(index + 1);
        let steps = before.attempts.last_mut().map(|attempt| std::mem::take(&mut attempt.events)).unwrap_or_default();
        // The id of an event does not depend on the transfer.
        events_of(&before, &steps, |_| Some(TransferId(Uuid::nil())))
    };
    (0..card.attempts.len()).flat_map(of_attempt).collect()
}

fn check_events(audit: &mut Sweep) {
    let mut expected = expected_events(audit);
    let mut placed: HashMap<&str, i64> = HashMap::new();
    let mut ended: HashMap<&str, i64> = HashMap::new();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for OutboxRecord { place, id, kind, key, .. } in &audit.records.outbox.records {
        let sequence = place.sequence;
        let of_reservation = OF_RESERVATIONS.contains(&kind.as_str());
        let is_matched = of_reservation || OTHERS.contains(&kind.as_str()) || kind.starts_with(OF_PAYMENTS);
        if audit.scope.is_some_and(|scope| scope.0 != *key) {
            continue;
        }
        audit.examine(Promise::OutboxGap, 1);
        let subject = format!("event {id}");
        let mut parts = id.split('/');
        let (kind_of_id, reservation) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let count = times.entry(id).or_default();
        *count += 1;
        if *count > 1 {
            audit.find(Promise::OutboxGap, subject, format!("in the outbox {count} times"));
        } else if is_matched && expected.remove(id).is_none_or(|(of, _)| of != *key) || kind_of_id != kind {
            let detail = format!("sequence {sequence} of kind {kind} under key {key} matches no change");
            audit.find(Promise::OutboxGap, subject, detail);
        }
        if of_reservation {
            if kind == PLACED { &mut placed } else { &mut ended }.entry(reservation).or_insert(sequence);
        }
    }
    audit.examine(Promise::OutboxGap, 0);
    let forgotten_before = audit.records.outbox.forgotten_before;
    let is_kept = |at: Timestamp| forgotten_before.is_none_or(|moment| at >= moment);
    for (id, (key, _)) in expected.into_iter().filter(|(_, (_, at))| is_kept(*at)) {
        audit.find(Promise::OutboxGap, format!("event {id}"), format!("not in the outbox under key {key}"));
    }
    for (reservation, ended) in ended {
        if let Some(placed) = placed.get(reservation).filter(|placed| **placed > ended) {
            let detail = format!("placed at sequence {placed}, but ended at sequence {ended}");
            audit.find(Promise::OutboxGap, format!("reservation {reservation}"), detail);
        }
    }
}
