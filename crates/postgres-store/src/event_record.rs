//! The payload of an event in the outbox: amounts in minor units, times in RFC 3339, ids as text.

use chrono::SecondsFormat;
use encore_domain::booking::seat_block::{SeatBlock, SeatUnblock};
use encore_domain::booking::{Reservation, ReservedSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::event::Event;
use encore_domain::ids::{BlockId, PerformanceId, UserId};
use encore_domain::payment::Payment;
use encore_domain::payment::refund::{CancelledBy, Refund};
use encore_domain::time::Timestamp;
use encore_domain::wallet::WalletEntry;
use serde_json::{Value, json};

use crate::codec::{method_text, state_text, transfer_kind_text};

/// The payload of an event.
pub fn payload(event: &Event) -> Value {
    match event {
        Event::HoldPlaced(hold)
        | Event::HoldChanged { hold, .. }
        | Event::HoldReleased(hold)
        | Event::HoldExpired(hold) => {
            json!({ "reservation": reservation(hold) })
        }
        Event::ReservationConfirmed { reservation: confirmed, payment: paid } => {
            json!({ "reservation": reservation(confirmed), "payment": payment(paid) })
        }
        Event::SeatsCancelled { reservation: left, refund } => {
            json!({ "reservation": reservation(left), "refund": refund_record(refund) })
        }
        Event::SeatsBlocked(SeatBlock { id, performance, operator, reason, slots, at }) => {
            let block = seats_block(*id, *performance, *operator, slots, *at);
            json!({ "block": block, "reason": reason.as_str() })
        }
        Event::SeatsUnblocked(SeatUnblock { id, performance, operator, slots, at }) => {
            json!({ "unblock": seats_block(*id, *performance, *operator, slots, *at) })
        }
        Event::WalletToppedUp { user, entry } => {
            json!({ "user_id": user.to_string(), "entry": wallet_entry(entry) })
        }
    }
}

fn reservation(reservation: &Reservation) -> Value {
    let seat = |seat: &ReservedSeat| json!({ "slot": seat.slot.0, "price_minor": seat.price_minor });
    json!({
        "id": reservation.id.to_string(),
        "user_id": reservation.user.to_string(),
        "performance_id": reservation.performance.to_string(),
        "seats": reservation.seats.iter().map(seat).collect::<Vec<_>>(),
        "total_minor": reservation.total.minor,
        "currency": reservation.total.currency.code(),
        "state": state_text(reservation.state),
        "held_at": time(reservation.held_at),
        "expires_at": time(reservation.expires_at),
        "settled_at": reservation.settled_at.map(time),
        "payment_id": reservation.payment.map(|id| id.to_string()),
        "cancelled_at": reservation.cancelled_at.map(time),
    })
}

fn seats_block(id: BlockId, performance: PerformanceId, operator: UserId, slots: &[Slot], at: Timestamp) -> Value {
    json!({
        "id": id.to_string(),
        "performance_id": performance.to_string(),
        "operator_id": operator.to_string(),
        "slots": slots.iter().map(|slot| slot.0).collect::<Vec<_>>(),
        "at": time(at),
    })
}

fn payment(payment: &Payment) -> Value {
    json!({
        "id": payment.id.to_string(),
        "reservation_id": payment.reservation.to_string(),
        "user_id": payment.user.to_string(),
        "performance_id": payment.performance.to_string(),
        "amount_minor": payment.amount.minor,
        "currency": payment.amount.currency.code(),
        "paid_at": time(payment.paid_at),
        "method": method_text(payment.method),
    })
}

fn refund_record(refund: &Refund) -> Value {
    let (operator, reason) = match &refund.by {
        CancelledBy::Fan => (None, None),
        CancelledBy::Operator(operator, reason) => (Some(operator.to_string()), Some(reason.as_str())),
    };
    json!({
        "id": refund.id.to_string(),
        "payment_id": refund.payment.to_string(),
        "user_id": refund.user.to_string(),
        "slots": refund.slots.iter().map(|slot| slot.0).collect::<Vec<_>>(),
        "price_minor": refund.price.minor,
        "fee_minor": refund.fee_minor,
        "currency": refund.price.currency.code(),
        "operator_id": operator,
        "reason": reason,
        "to_card": refund.to_card,
        "at": time(refund.at),
    })
}

fn wallet_entry(entry: &WalletEntry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "transfer_id": entry.transfer.to_string(),
        "kind": transfer_kind_text(entry.kind),
        "amount_minor": entry.amount.minor,
        "currency": entry.amount.currency.code(),
        "balance_after_minor": entry.balance_after_minor,
        "payment_id": entry.payment.map(|id| id.to_string()),
        "refund_id": entry.refund.map(|id| id.to_string()),
        "at": time(entry.at),
    })
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
