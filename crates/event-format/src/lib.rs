#![doc = include_str!("../README.md")]

mod data;
mod json;
mod payments;
mod queue_facts;
mod seat_feed;
mod values;

use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::event::Event;
use encore_domain::event::message::EventMessage;
use encore_proto::events::v1 as pb;
use encore_proto::events::v1::event::Data;
use prost::Message;
use thiserror::Error;

pub use self::json::{NotAnEvent, from_json_line, key_of_line, to_json_line};
pub use self::queue_facts::{QUEUE_FACTS, encode_queue_facts};
pub use self::seat_feed::{SEAT_STATE_CHANGED, SeatMessage, encode_seat_changes, read_seat_change};

/// The attribute `source` of all events.
pub const SOURCE: &str = "/encore";

/// An event cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CannotEncode {
    /// It is about seats of a performance that the catalogue does not have.
    #[error("the catalogue does not have its performance")]
    NoChart,
    /// The venue of the performance has no seat there.
    #[error("the venue has no seat at {0:?}")]
    NoSeat(Slot),
    /// Its kind has no message. A test shows that every kind has one.
    #[error("there is no message for {0}")]
    NoType(&'static str),
}

/// The types of the data, by the kind of the event.
const TYPES: [(&str, &str); 32] = [
    ("booking.hold_placed", "encore.events.v1.HoldPlaced"),
    ("booking.hold_changed", "encore.events.v1.HoldChanged"),
    ("booking.hold_released", "encore.events.v1.HoldReleased"),
    ("booking.hold_expired", "encore.events.v1.HoldExpired"),
    ("booking.reservation_confirmed", "encore.events.v1.ReservationConfirmed"),
    ("booking.seats_cancelled", "encore.events.v1.SeatsCancelled"),
    ("booking.reservation_cancelled", "encore.events.v1.ReservationCancelled"),
    ("booking.seats_blocked", "encore.events.v1.SeatsBlocked"),
    ("booking.seats_unblocked", "encore.events.v1.SeatsUnblocked"),
    ("wallet.topped_up", "encore.events.v1.WalletToppedUp"),
    ("wallet.withdrawn", "encore.events.v1.WalletWithdrawn"),
    ("user.signed_up", "encore.events.v1.UserSignedUp"),
    ("user.email_verified", "encore.events.v1.UserEmailVerified"),
    ("user.deleted", "encore.events.v1.UserDeleted"),
    ("user.role_changed", "encore.events.v1.UserRoleChanged"),
    ("catalog.performance_published", "encore.events.v1.PerformancePublished"),
    ("catalog.performance_postponed", "encore.events.v1.PerformancePostponed"),
    ("catalog.performance_changed", "encore.events.v1.PerformanceChanged"),
    ("catalog.performance_withdrawn", "encore.events.v1.PerformanceWithdrawn"),
    ("queue.paused", "encore.events.v1.QueuePaused"),
    ("queue.resumed", "encore.events.v1.QueueResumed"),
    ("queue.drained", "encore.events.v1.QueueDrained"),
    ("queue.settings_changed", "encore.events.v1.QueueSettingsChanged"),
    ("payment.authorized", "encore.events.v1.PaymentAuthorized"),
    ("payment.captured", "encore.events.v1.PaymentCaptured"),
    ("payment.failed", "encore.events.v1.PaymentFailed"),
    ("payment.refunded", "encore.events.v1.PaymentRefunded"),
    ("payment.refund_failed", "encore.events.v1.RefundFailed"),
    ("payment.disputed", "encore.events.v1.PaymentDisputed"),
    ("payment.dispute_closed", "encore.events.v1.DisputeClosed"),
    ("catalog.performance_cancelled", "encore.events.v1.PerformanceCancelled"),
    ("queue.opened", "encore.events.v1.QueueOpened"),
];

/// The full name of the message that is the data of events of this kind.
pub fn data_type(kind: &str) -> Option<&'static str> {
    TYPES.iter().find(|(of, _)| *of == kind).map(|(_, name)| *name)
}

/// The kind of the events whose data is the message of this full name.
pub fn kind_of(data_type: &str) -> Option<&'static str> {
    TYPES.iter().find(|(_, name)| *name == data_type).map(|(kind, _)| *kind)
}

/// The message of an event. `chart` is that of the venue, if the event is about a performance.
pub fn encode(event: &Event, chart: Option<&SeatChart>) -> Result<EventMessage, CannotEncode> {
    Ok(EventMessage {
        id: event.id(),
        data_type: type_of(event)?.to_owned(),
        subject: data::subject(event),
        at: event.at(),
        key: event.key().to_string(),
        data: encoded(&data::of(event, chart)?),
    })
}

/// The same as one message of protobuf.
pub fn to_proto(event: &Event, chart: Option<&SeatChart>) -> Result<pb::Event, CannotEncode> {
    Ok(pb::Event {
        id: event.id(),
        source: SOURCE.to_owned(),
        r#type: type_of(event)?.to_owned(),
        time: Some(values::timestamp(event.at())),
        subject: data::subject(event),
        partition_key: event.key().to_string(),
        data: Some(data::of(event, chart)?),
    })
}

fn type_of(event: &Event) -> Result<&'static str, CannotEncode> {
    data_type(event.kind()).ok_or_else(|| CannotEncode::NoType(event.kind()))
}

/// The message in `data`, by itself.
fn encoded(data: &Data) -> Vec<u8> {
    match data {
        Data::HoldPlaced(message) => message.encode_to_vec(),
        Data::HoldChanged(message) => message.encode_to_vec(),
        Data::HoldReleased(message) => message.encode_to_vec(),
        Data::HoldExpired(message) => message.encode_to_vec(),
        Data::ReservationConfirmed(message) => message.encode_to_vec(),
        Data::SeatsCancelled(message) => message.encode_to_vec(),
        Data::ReservationCancelled(message) => message.encode_to_vec(),
        Data::SeatsBlocked(message) => message.encode_to_vec(),
        Data::SeatsUnblocked(message) => message.encode_to_vec(),
        Data::WalletToppedUp(message) => message.encode_to_vec(),
        Data::WalletWithdrawn(message) => message.encode_to_vec(),
        Data::UserSignedUp(message) => message.encode_to_vec(),
        Data::UserEmailVerified(message) => message.encode_to_vec(),
        Data::UserDeleted(message) => message.encode_to_vec(),
        Data::UserRoleChanged(message) => message.encode_to_vec(),
        Data::PerformancePublished(message) => message.encode_to_vec(),
        Data::PerformancePostponed(message) => message.encode_to_vec(),
        Data::PerformanceChanged(message) => message.encode_to_vec(),
        Data::PerformanceWithdrawn(message) => message.encode_to_vec(),
        Data::QueuePaused(message) => message.encode_to_vec(),
        Data::QueueResumed(message) => message.encode_to_vec(),
        Data::QueueDrained(message) => message.encode_to_vec(),
        Data::QueueSettingsChanged(message) => message.encode_to_vec(),
        Data::PaymentAuthorized(message) => message.encode_to_vec(),
        Data::PaymentCaptured(message) => message.encode_to_vec(),
        Data::PaymentFailed(message) => message.encode_to_vec(),
        Data::PaymentRefunded(message) => message.encode_to_vec(),
        Data::RefundFailed(message) => message.encode_to_vec(),
        Data::PaymentDisputed(message) => message.encode_to_vec(),
        Data::DisputeClosed(message) => message.encode_to_vec(),
        Data::PerformanceCancelled(message) => message.encode_to_vec(),
        Data::QueueOpened(message) => message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{event_of_kind, one_event_of_each_kind, slots, small_chart};
    use encore_proto::FILE_DESCRIPTOR_SET;
    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage};

    use super::*;

    #[test]
    fn the_type_of_an_event_names_the_message_that_it_carries() {
        let types = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
        let descriptor = types.get_message_by_name("encore.events.v1.Event").expect("the message Event");
        for event in one_event_of_each_kind() {
            let proto = to_proto(&event, Some(&small_chart())).expect("an event that can be encoded");
            let dynamic =
                DynamicMessage::decode(descriptor.clone(), proto.encode_to_vec().as_slice()).expect("an event");
            let data = dynamic.fields().find(|(field, _)| field.containing_oneof().is_some()).expect("its data").1;
            let data = data.as_message().expect("a message");
            assert_eq!(data.descriptor().full_name(), proto.r#type, "{}", event.kind());

            let message = encode(&event, Some(&small_chart())).expect("an event that can be encoded");
            assert_eq!(data.encode_to_vec(), message.data);
            assert_eq!((message.id, message.at, &message.key), (event.id(), event.at(), &event.key().to_string()));
            assert_eq!((proto.subject, proto.partition_key), (message.subject, message.key));
        }
    }

    #[test]
    fn seats_are_named_as_the_venue_names_them() {
        let event = event_of_kind("booking.hold_placed");
        let message = encode(&event, Some(&small_chart())).expect("an event that can be encoded");
        let placed = pb::HoldPlaced::decode(message.data.as_slice()).expect("its data");
        let seats = placed.reservation.expect("a reservation").seats;
        let seats: Vec<(String, String)> =
            seats.into_iter().filter_map(|it| it.seat).map(|seat| (seat.seat_id, seat.label)).collect();
        assert_eq!(seats, [("S-A-1".into(), "A-1".into()), ("S-A-2".into(), "A-2".into())]);
    }

    #[test]
    fn money_that_leaves_a_wallet_is_a_positive_amount() {
        let event = event_of_kind("wallet.withdrawn");
        let message = encode(&event, None).expect("an event that can be encoded");
        let withdrawn = pb::WalletWithdrawn::decode(message.data.as_slice()).expect("its data");
        assert_eq!(withdrawn.amount.map(|amount| amount.amount_minor), Some(500));
        let ids = [withdrawn.payment_id, withdrawn.refund_id, withdrawn.request_id];
        assert!(ids.iter().all(|id| !id.is_empty()), "{ids:?}");
    }

    #[test]
    fn a_step_of_a_payment_says_of_what_and_why() {
        let events = one_event_of_each_kind();
        let message = |kind| {
            let event = events.iter().find(|event| event.kind() == kind).expect("a kind of event");
            encode(event, None).expect("an event that can be encoded")
        };
        let failed = pb::PaymentFailed::decode(message("payment.failed").data.as_slice()).expect("its data");
        assert_eq!((failed.failure(), failed.attempt), (pb::PaymentFailure::InsufficientFunds, 2));
        let ids = [failed.payment_id, failed.user_id, failed.reservation_id, failed.performance_id, failed.request_id];
        assert!(ids.iter().all(|id| !id.is_empty()), "{ids:?}");
        assert_eq!(message("payment.failed").key, ids[3]);
        let failed = pb::RefundFailed::decode(message("payment.refund_failed").data.as_slice()).expect("its data");
        assert_eq!(
            (failed.cause(), failed.amount.map(|it| it.amount_minor)),
            (pb::CardRefundCause::Withdrawn, Some(11_900))
        );
        assert_eq!((failed.reservation_id.as_str(), failed.performance_id.as_str()), ("", ""), "a top-up has none");
        assert_eq!(
            (message("payment.refund_failed").key, message("payment.refund_failed").subject),
            (failed.user_id, format!("payments/{}", failed.payment_id))
        );
        let closed = pb::DisputeClosed::decode(message("payment.dispute_closed").data.as_slice()).expect("its data");
        assert_eq!((closed.dispute, closed.outcome()), (3, pb::DisputeOutcome::Lost));
        let opened = pb::QueueOpened::decode(message("queue.opened").data.as_slice()).expect("its data");
        let [opened_at, calls_from] = [opened.opened_at, opened.calls_from].map(|at| at.map(|at| at.seconds));
        assert!(opened.is_pre_queue && opened_at < calls_from, "{opened:?}");
    }

    #[test]
    fn grades_for_sale_have_their_names_and_prices() {
        let mut event = event_of_kind("catalog.performance_published");
        let Event::PerformancePublished { performance, .. } = &mut event else { panic!("{event:?}") };
        performance.prices.minor_by_grade = vec![None, Some(7_500)];
        let message = encode(&event, Some(&small_chart())).expect("an event that can be encoded");
        let published = pb::PerformancePublished::decode(message.data.as_slice()).expect("its data");
        let prices: Vec<_> =
            published.prices.into_iter().map(|it| (it.grade, it.price.map(|price| price.amount_minor))).collect();
        assert_eq!(prices, [(small_chart().grades()[1].name.clone(), Some(7_500))]);
        assert_eq!(encode(&event, None), Err(CannotEncode::NoChart));
    }

    #[test]
    fn a_change_of_a_sale_has_what_changed_and_nothing_else() {
        let mut event = event_of_kind("catalog.performance_changed");
        let changed = |event: &Event| {
            let message = encode(event, Some(&small_chart())).expect("an event that can be encoded");
            let changed = pb::PerformanceChanged::decode(message.data.as_slice()).expect("its data");
            (changed.before.expect("the terms before"), changed.after.expect("the terms after"))
        };
        let (before, after) = changed(&event);
        for terms in [&before, &after] {
            assert!(terms.on_sale_opens_at.is_some() && terms.on_sale_closes_at.is_some(), "{terms:?}");
            assert!(terms.hold_duration.is_some(), "{terms:?}");
            assert_eq!(terms.prices.len(), 1, "the price of the other grade stays: {terms:?}");
        }
        assert_eq!((before.seats_per_fan, after.seats_per_fan), (Some(6), Some(3)));
        let Event::PerformanceChanged { before, after, .. } = &mut event else { panic!("{event:?}") };
        after.clone_from(before);
        after.seats_per_fan = 1;
        let limit = |seats_per_fan| pb::SaleTerms { seats_per_fan: Some(seats_per_fan), ..pb::SaleTerms::default() };
        assert_eq!(changed(&event), (limit(6), limit(1)));
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        let mut event = event_of_kind("booking.hold_placed");
        assert_eq!(encode(&event, None), Err(CannotEncode::NoChart));
        let Event::HoldPlaced(hold) = &mut event else { panic!("{event:?}") };
        let beyond = Slot(slots(&[25])[0].0 + 1);
        hold.seats[0].slot = beyond;
        assert_eq!(encode(&event, Some(&small_chart())), Err(CannotEncode::NoSeat(beyond)));
    }
}
