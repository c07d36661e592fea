//! What is told to those who watch seats, as messages.

use encore_app::catalog::{AreaLeft, Changes, ObservedSeats, SeatFrame, SeatRange};
use encore_proto::catalog::v1::{self as pb, watch_seats_response::Frame};
use prost::bytes::Bytes;

/// A frame. The statuses of a snapshot are shared by all who are sent it.
pub(crate) fn frame_to_proto(sequence: u64, observed: ObservedSeats, chart_version: &str) -> pb::WatchSeatsResponse {
    let frame = match observed.frame {
        SeatFrame::Snapshot(ranges, areas) => Frame::Snapshot(pb::SeatsSnapshot {
            chart_version: chart_version.to_owned(),
            ranges: ranges.into_iter().map(range_to_proto).collect(),
            areas: areas.iter().copied().map(area_to_proto).collect(),
        }),
        SeatFrame::Delta(Changes { seats, areas }) => Frame::Delta(pb::SeatsDelta {
            changes: seats.to_vec(),
            areas: areas.iter().copied().map(area_to_proto).collect(),
        }),
        SeatFrame::Heartbeat => Frame::Heartbeat(pb::SeatsHeartbeat {}),
    };
    pb::WatchSeatsResponse { sequence, version: observed.version, frame: Some(frame) }
}

fn area_to_proto(AreaLeft { area, left }: AreaLeft) -> pb::AreaLeft {
    pb::AreaLeft { area, left }
}

fn range_to_proto(SeatRange { first, seats, statuses }: SeatRange) -> pb::SeatRange {
    pb::SeatRange { first_seat: first, seats, statuses: Bytes::from_owner(statuses) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prost::Message;

    use super::*;
    use crate::catalog::status_to_proto;
    use encore_domain::booking::seat_state::SeatStatus;

    #[test]
    fn a_snapshot_of_fifty_thousand_seats_is_far_below_sixty_kilobytes() {
        let range = SeatRange { first: 0, seats: 50_000, statuses: Arc::from(vec![0b1011_0110; 12_500]) };
        let observed = ObservedSeats { version: u64::MAX, frame: SeatFrame::Snapshot(vec![range], Arc::from([])) };
        let bytes = frame_to_proto(1, observed, "0123456789abcdef01234567").encoded_len();
        assert!((12_500..13_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn statuses_are_packed_by_their_numbers_in_the_contract() {
        let all = [SeatStatus::Free, SeatStatus::Held, SeatStatus::Sold, SeatStatus::Blocked];
        let numbers = all.map(|it| status_to_proto(it) as i32 & 3);
        assert_eq!(numbers, [1, 2, 3, 0]);
    }
}
