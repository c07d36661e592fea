//! The messages of the seat feed: one for each seat that an event changes.

use encore_domain::booking::seat_state::SeatStatus;
use encore_domain::catalog::seat_chart::SeatChart;
use encore_domain::event::message::EventMessage;
use encore_domain::event::seat_feed::{SeatInFeed, SeatStatusChange, seat_changes};
use encore_domain::event::{Event, OutboxPlace};
use encore_domain::ids::PerformanceId;
use encore_proto::catalog::v1 as catalog;
use encore_proto::events::v1 as pb;
use prost::Message;

use crate::{CannotEncode, values};

/// The type of the data of the messages.
pub const SEAT_STATE_CHANGED: &str = "encore.events.v1.SeatStateChanged";

/// What a message of the feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatMessage {
    /// The performance.
    pub performance: PerformanceId,
    /// The seat's ID.
    pub seat_id: String,
    /// The status, and its version.
    pub said: SeatInFeed,
}

/// The messages of the seats that an event changes; none if it changes no seat. `place` is that of the event, and `chart` that of the
/// venue.
pub fn encode_seat_changes(
    event: &Event,
    place: OutboxPlace,
    chart: Option<&SeatChart>,
) -> Result<Vec<EventMessage>, CannotEncode> {
    let Some(performance) = event.performance() else { return Ok(Vec::new()) };
    let cause = event.id();
    let message = |SeatStatusChange { slot, before, after }: SeatStatusChange| {
        let seat_id = chart.ok_or(CannotEncode::NoChart)?.id_at(slot).ok_or(CannotEncode::NoSeat(slot))?;
        let changed = pb::SeatStateChanged {
            performance_id: performance.to_string(),
            seat_id: seat_id.clone(),
            previous_status: before.map_or(catalog::SeatStatus::Unspecified, status).into(),
            status: status(after).into(),
            cause: cause.clone(),
            version: place.sequence,
            changed_at: Some(values::timestamp(event.at())),
        };
        Ok(EventMessage {
            id: format!("{cause}/{seat_id}"),
            data_type: SEAT_STATE_CHANGED.to_owned(),
            subject: format!("performances/{performance}/seats/{seat_id}"),
            at: event.at(),
            key: format!("{performance}/{seat_id}"),
            data: changed.encode_to_vec(),
        })
    };
    seat_changes(event).into_iter().map(message).collect()
}

/// What a message of the feed says; none if it is another message.
pub fn read_seat_change(message: &EventMessage) -> Option<SeatMessage> {
    if message.data_type != SEAT_STATE_CHANGED {
        return None;
    }
    let changed = pb::SeatStateChanged::decode(message.data.as_slice()).ok()?;
    let status = match changed.status() {
        catalog::SeatStatus::Free => SeatStatus::Free,
        catalog::SeatStatus::Held => SeatStatus::Held,
        catalog::SeatStatus::Sold => SeatStatus::Sold,
        catalog::SeatStatus::Blocked => SeatStatus::Blocked,
        catalog::SeatStatus::Unspecified => return None,
    };
    Some(SeatMessage {
        performance: changed.performance_id.parse().ok()?,
        said: SeatInFeed { status, version: changed.version },
        seat_id: changed.seat_id,
    })
}

fn status(status: SeatStatus) -> catalog::SeatStatus {
    match status {
        SeatStatus::Free => catalog::SeatStatus::Free,
        SeatStatus::Held => catalog::SeatStatus::Held,
        SeatStatus::Sold => catalog::SeatStatus::Sold,
        SeatStatus::Blocked => catalog::SeatStatus::Blocked,
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::catalog::seat_chart::Slot;
    use encore_domain::event::seat_feed::is_about_seats;
    use encore_port_tests::fixtures::{event_of_kind, one_event_of_each_kind, small_chart};

    use super::*;
    use crate::{from_json_line, to_json_line};

    const PLACE: OutboxPlace = OutboxPlace { window: 3, sequence: 4_711 };

    fn messages(event: &Event) -> Vec<EventMessage> {
        encode_seat_changes(event, PLACE, Some(&small_chart())).expect("an event that can be encoded")
    }

    #[test]
    fn each_seat_has_a_message_of_its_own_which_is_read_again() {
        let placed = event_of_kind("booking.hold_placed");
        let messages = messages(&placed);
        let performance = placed.performance().expect("a performance");
        let read: Vec<SeatMessage> = messages.iter().filter_map(read_seat_change).collect();
        let said = SeatInFeed { status: SeatStatus::Held, version: 4_711 };
        let expected = |seat_id: &str| SeatMessage { performance, seat_id: seat_id.to_owned(), said };
        assert_eq!(read, [expected("S-A-1"), expected("S-A-2")]);
        assert_eq!(messages[0].key, format!("{performance}/S-A-1"));
        assert_eq!(messages[0].id, format!("{}/S-A-1", placed.id()));
        let changed = pb::SeatStateChanged::decode(messages[0].data.as_slice()).expect("its data");
        assert_eq!((changed.previous_status(), changed.cause), (catalog::SeatStatus::Free, placed.id()));
    }

    #[test]
    fn a_message_is_read_from_its_line_as_it_was() {
        for message in one_event_of_each_kind().iter().flat_map(messages) {
            let line = to_json_line(&message).expect("a line");
            assert_eq!(from_json_line(&line).expect("a message"), message);
        }
    }

    #[test]
    fn an_event_of_no_seat_has_no_message_and_needs_no_chart() {
        let events = one_event_of_each_kind();
        for event in events.iter().filter(|event| !is_about_seats(event.kind())) {
            assert_eq!(encode_seat_changes(event, PLACE, None), Ok(vec![]), "{}", event.kind());
        }
        assert_eq!(encode_seat_changes(&events[0], PLACE, None), Err(CannotEncode::NoChart));
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        let mut event = event_of_kind("booking.hold_placed");
        let Event::HoldPlaced(hold) = &mut event else { panic!("{event:?}") };
        hold.seats[0].slot = Slot(10_000);
        let refused = encode_seat_changes(&event, PLACE, Some(&small_chart()));
        assert_eq!(refused, Err(CannotEncode::NoSeat(Slot(10_000))));
    }
}
