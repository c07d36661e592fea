//! One fan with as many top-ups as go at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::Target;
use crate::attack::neighbour::new_id;
use crate::client::Caller;

const AT_ONCE: usize = 400;
/// The pause after a call that was refused: a bounded load.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{}", target.address)) else {
        return "no address".to_owned();
    };
    let Ok(fan) = Caller::new(endpoint.connect_lazy(), &target.access_tokens[0]) else { return "no token".to_owned() };
    let (done, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    join_all((0..AT_ONCE).map(|_| async {
        while !stop.is_cancelled() {
            if fan.top_up(new_id(), 1).await.is_ok() {
                done.fetch_add(1, Ordering::Relaxed);
            } else {
                refused.fetch_add(1, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
        }
    }))
    .await;
    format!("{} top-ups done, {} told to retry", done.into_inner(), refused.into_inner())
}
