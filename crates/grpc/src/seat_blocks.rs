//! Converts the seats that operators block from and to protobuf messages.

use encore_app::seat_blocks::InContext;
use encore_domain::booking::seat_block::{BlockedSeat, NotASeatList, SeatBlock, SeatList, SeatUnblock};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::page::Page;
use encore_proto::admin::v1 as pb;

use crate::fields::Fields;
use crate::page_token::Listing;
use crate::to_proto::timestamp;

/// The most blocked seats in one reply. With the longest reasons and names they take far less than the 4 MiB that gRPC
/// clients accept.
pub(crate) const BLOCKED_PAGE_MAX: u32 = 1_000;

pub(crate) fn seat_list(fields: &mut Fields, seat_ids: Vec<String>) -> Option<SeatList> {
    let parsed = SeatList::parse(seat_ids);
    let field = match &parsed {
        Err(NotASeatList::NotAName { index }) => format!("seat_ids[{index}]"),
        Err(NotASeatList::Length) | Ok(_) => "seat_ids".to_owned(),
    };
    fields.read(&field, parsed)
}

pub(crate) fn block_to_proto(blocked: &InContext<SeatBlock>) -> pb::BlockSeatsResponse {
    let SeatBlock { id, reason, slots, at, .. } = &blocked.done;
    pb::BlockSeatsResponse {
        block_id: id.to_string(),
        seat_ids: seat_ids(blocked, slots),
        reason: reason.as_str().to_owned(),
        blocked_at: Some(timestamp(*at)),
    }
}

pub(crate) fn unblock_to_proto(unblocked: &InContext<SeatUnblock>) -> pb::UnblockSeatsResponse {
    let SeatUnblock { slots, at, .. } = &unblocked.done;
    pb::UnblockSeatsResponse { seat_ids: seat_ids(unblocked, slots), unblocked_at: Some(timestamp(*at)) }
}

pub(crate) fn blocked_to_proto(
    blocked: &InContext<Page<BlockedSeat, Slot>>,
    listing: &Listing<'_>,
) -> pb::ListBlockedSeatsResponse {
    let seat = |seat: &BlockedSeat| {
        Some(pb::BlockedSeat {
            seat_id: blocked.context.venue.chart.seat_at(seat.slot)?.id.clone(),
            reason: seat.reason.as_str().to_owned(),
            block_id: seat.block.to_string(),
            operator_id: seat.operator.to_string(),
            blocked_at: Some(timestamp(seat.at)),
        })
    };
    pb::ListBlockedSeatsResponse {
        seats: blocked.done.items.iter().filter_map(seat).collect(),
        next_page_token: listing.next_page_token(blocked.done.next.as_ref()),
    }
}

fn seat_ids<T>(of: &InContext<T>, slots: &[Slot]) -> Vec<String> {
    let chart = &of.context.venue.chart;
    slots.iter().filter_map(|slot| chart.seat_at(*slot)).map(|seat| seat.id.clone()).collect()
}
