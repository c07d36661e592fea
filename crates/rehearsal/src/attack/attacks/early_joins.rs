//! Fans who join before the opening.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Endpoint;

use super::Target;
use crate::client::Caller;

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{}", target.address)) else {
        return "no address".to_owned();
    };
    let connections: Vec<_> = (0..4).map(|_| endpoint.connect_lazy()).collect();
    let (not_open, others) = (AtomicU64::new(0), AtomicU64::new(0));
    join_all(target.access_tokens.iter().zip(connections.iter().cycle()).map(|(token, channel)| {
        let (stop, shut, not_open, others) = (&stop, &target.shut_performance, &not_open, &others);
        async move {
            let Ok(fan) = Caller::new(channel.clone(), token) else { return };
            while !stop.is_cancelled() {
                let refused = fan.join(shut).await.is_err_and(|refusal| refusal.code() == Code::FailedPrecondition);
                let count = if refused { not_open } else { others };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
    .await;
    format!("{} told that it is not open, {} otherwise", not_open.into_inner(), others.into_inner())
}
