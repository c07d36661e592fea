//! The payload of an event in the outbox: amounts in minor units, times in milliseconds since 1970, ids as text, seats as slots.
//!
//! Only this store reads it. What leaves Encore is encoded when it is published.

mod bookings;
mod cause;
mod payments;
pub mod performances;
mod queues;
mod users;
mod wallet;

use std::str::FromStr;

use diesel::QueryResult;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::event::{Event, QueueChange};
use encore_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::corrupt;
use crate::event_record::bookings::{BlockRecord, Cancelled, Changed, Confirmed, Held};
use crate::event_record::payments::Stepped;
use crate::event_record::performances::{CancelledByOperator, PostponedEvent, Published, TermsChanged, Withdrawn};
use crate::event_record::queues::{QueueChanged, QueueOpened};
use crate::event_record::users::{Deleted, EmailVerified, RoleChanged, SignedUp};
use crate::event_record::wallet::Moved;

/// The payload of an event.
pub fn payload(event: &Event) -> QueryResult<Value> {
    match event {
        Event::HoldPlaced(hold) | Event::HoldReleased(hold) | Event::HoldExpired(hold) => write(&Held::from(hold)),
        Event::HoldChanged { hold, released, at } => {
            let released = released.iter().map(|slot| slot.0).collect();
            write(&Changed { reservation: hold.into(), released, at_ms: at.timestamp_millis() })
        }
        Event::ReservationConfirmed { reservation, payment } => {
            write(&Confirmed { reservation: reservation.into(), payment: payment.into() })
        }
        Event::SeatsCancelled { reservation, refund } => {
            write(&Cancelled { reservation: reservation.into(), refund: refund.into() })
        }
        Event::SeatsBlocked(block) => write(&BlockRecord::from(block)),
        Event::SeatsUnblocked(unblock) => write(&BlockRecord::from(unblock)),
        Event::WalletToppedUp { user, entry } | Event::WalletWithdrawn { user, entry } => {
            write(&Moved::of(*user, entry))
        }
        Event::PaymentChanged(step) => write(&Stepped::from(step)),
        Event::UserSignedUp { user, request, at } => write(&SignedUp::of(*user, *request, *at)),
        Event::UserEmailVerified { user, at } => write(&EmailVerified::of(*user, *at)),
        Event::UserDeleted { user, at } => write(&Deleted::of(*user, *at)),
        Event::UserRoleChanged { user, before, after, cause } => {
            write(&RoleChanged::of(*user, (*before, *after), cause))
        }
        Event::PerformancePublished { performance, pre_queue_opens_at, cause } => {
            write(&Published::of(performance, *pre_queue_opens_at, cause))
        }
        Event::PerformanceCancelled { performance, reason, cause } => {
            write(&CancelledByOperator::of(*performance, reason, cause))
        }
        Event::QueueOpened(opening) => write(&QueueOpened::from(opening)),
        Event::PerformancePostponed { performance, before, starts_at, postponed, reason, cause } => {
            write(&PostponedEvent::of(*performance, (*before, *starts_at), *postponed, reason, cause))
        }
        Event::PerformanceChanged { before, after, cause } => write(&TermsChanged::of(before, after, cause)),
        Event::PerformanceWithdrawn { performance, reason, cause } => {
            write(&Withdrawn::of(*performance, reason, cause))
        }
        Event::QueueChanged { performance, settings, cause, change: _ } => {
            write(&QueueChanged::of(*performance, settings, cause))
        }
    }
}

/// The event of this kind with this payload.
pub fn read(kind: &str, payload: Value) -> QueryResult<Event> {
    match kind {
        "booking.hold_placed" => Ok(Event::HoldPlaced(parse::<Held>(payload)?.reservation.read()?)),
        "booking.hold_released" => Ok(Event::HoldReleased(parse::<Held>(payload)?.reservation.read()?)),
        "booking.hold_expired" => Ok(Event::HoldExpired(parse::<Held>(payload)?.reservation.read()?)),
        "booking.hold_changed" => {
            let Changed { reservation, released, at_ms } = parse(payload)?;
            let released = released.into_iter().map(Slot).collect();
            Ok(Event::HoldChanged { hold: reservation.read()?, released, at: time(at_ms)? })
        }
        "booking.reservation_confirmed" => {
            let Confirmed { reservation, payment } = parse(payload)?;
            Ok(Event::ReservationConfirmed { reservation: reservation.read()?, payment: payment.read()? })
        }
        "booking.reservation_cancelled" | "booking.seats_cancelled" => {
            let Cancelled { reservation, refund } = parse(payload)?;
            Ok(Event::SeatsCancelled { reservation: reservation.read()?, refund: refund.read()? })
        }
        "booking.seats_blocked" => parse::<BlockRecord>(payload)?.read_block().map(Event::SeatsBlocked),
        "booking.seats_unblocked" => parse::<BlockRecord>(payload)?.read_unblock().map(Event::SeatsUnblocked),
        "wallet.topped_up" => {
            let (user, entry) = parse::<Moved>(payload)?.read()?;
            Ok(Event::WalletToppedUp { user, entry })
        }
        "wallet.withdrawn" => {
            let (user, entry) = parse::<Moved>(payload)?.read()?;
            Ok(Event::WalletWithdrawn { user, entry })
        }
        kind if kind.starts_with("payment.") => parse::<Stepped>(payload)?.read(kind),
        "user.signed_up" => parse::<SignedUp>(payload)?.read(),
        "user.email_verified" => parse::<EmailVerified>(payload)?.read(),
        "user.deleted" => parse::<Deleted>(payload)?.read(),
        "user.role_changed" => parse::<RoleChanged>(payload)?.read(),
        "catalog.performance_published" => parse::<Published>(payload)?.read(),
        "catalog.performance_cancelled" => parse::<CancelledByOperator>(payload)?.read(),
        "queue.opened" => parse::<QueueOpened>(payload)?.read(),
        "catalog.performance_postponed" => parse::<PostponedEvent>(payload)?.read(),
        "catalog.performance_changed" => parse::<TermsChanged>(payload)?.read(),
        "catalog.performance_withdrawn" => parse::<Withdrawn>(payload)?.read(),
        "queue.paused" => parse::<QueueChanged>(payload)?.read(QueueChange::Paused),
        "queue.resumed" => parse::<QueueChanged>(payload)?.read(QueueChange::Resumed),
        "queue.drained" => parse::<QueueChanged>(payload)?.read(QueueChange::Drained),
        "queue.settings_changed" => parse::<QueueChanged>(payload)?.read(QueueChange::Settings),
        unknown => Err(corrupt("kind of event", unknown)),
    }
}

fn write(record: &impl Serialize) -> QueryResult<Value> {
    serde_json::to_value(record).map_err(|error| corrupt("event", &error))
}

fn parse<T: DeserializeOwned>(payload: Value) -> QueryResult<T> {
    serde_json::from_value(payload).map_err(|error| corrupt("payload of an event", &error))
}

fn id<T: FromStr>(text: &str) -> QueryResult<T> {
    text.parse().map_err(|_| corrupt("id in an event", text))
}

fn optional_id<T: FromStr>(text: Option<&str>) -> QueryResult<Option<T>> {
    text.map(id).transpose()
}

fn time(ms: i64) -> QueryResult<Timestamp> {
    Timestamp::from_timestamp_millis(ms).ok_or_else(|| corrupt("time in an event", &ms))
}

fn optional_time(ms: Option<i64>) -> QueryResult<Option<Timestamp>> {
    ms.map(time).transpose()
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{event_of_kind, one_event_of_each_kind};

    use super::*;

    #[test]
    fn every_event_is_read_as_it_was_written() {
        for event in one_event_of_each_kind() {
            let stored = payload(&event).expect("a payload");
            assert_eq!(read(event.kind(), stored).expect("a readable payload"), event);
        }
    }

    /// Events that were stored in this form must stay readable. Rows of before, which nothing ever read, are not: no version that wrote
    /// them was released.
    #[test]
    fn an_event_of_the_first_form_that_is_read_stays_readable() {
        let stored = r#"{ "reservation": {
            "id": "00000000-0000-e0c0-0000-000000000001", "user_id": "00000000-0000-e0c0-0000-000000000002",
            "performance_id": "00000000-0000-e0c0-0000-000000000003", "seats": [[0, 12000], [1, 12000]],
            "total_minor": 24000, "currency": "EUR", "state": "held", "held_at_ms": 1780308000000,
            "expires_at_ms": 1780308420000, "settled_at_ms": null, "payment_id": null, "cancelled_at_ms": null,
            "revision": 0 } }"#;
        let event = read("booking.hold_placed", serde_json::from_str(stored).expect("JSON")).expect("readable");
        assert_eq!(event.id(), "booking.hold_placed/00000000-0000-e0c0-0000-000000000001");
        assert_eq!(payload(&event).expect("a payload"), serde_json::from_str::<Value>(stored).expect("JSON"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_another_event() {
        let event = event_of_kind("booking.hold_placed");
        assert!(read("booking.hold_vanished", payload(&event).expect("a payload")).is_err());
        for (field, value) in [("state", "lost"), ("currency", "euro"), ("id", "7"), ("held_at_ms", "noon")] {
            let mut stored = payload(&event).expect("a payload");
            stored["reservation"][field] = value.into();
            assert!(read(event.kind(), stored).is_err(), "{field}");
        }
    }
}
