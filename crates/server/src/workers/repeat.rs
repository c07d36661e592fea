use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Repeats a step until `stop` is cancelled, while it `may` run. The first failure and the first success after it are logged, not
/// the failures between them. A step that panics is repeated, too.
pub(crate) async fn repeat<E, F>(
    name: &'static str,
    stop: CancellationToken,
    pause: Duration,
    may: impl Fn() -> bool,
    step: impl Fn() -> F,
) where
    E: Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    let mut failing = false;
    while !stop.is_cancelled() {
        if may() {
            let began = Instant::now();
            let outcome = AssertUnwindSafe(step()).catch_unwind().await;
            histogram!("encore_worker_step_duration_seconds", "worker" => name).record(began.elapsed());
            if !matches!(outcome, Ok(Ok(()))) {
                counter!("encore_worker_failures_total", "worker" => name).increment(1);
            }
            match outcome {
                Ok(Ok(())) if failing => {
                    info!(worker = name, "worker step succeeded again; worker recovered");
                    failing = false;
                }
                Ok(Err(error)) if !failing => {
                    warn!(worker = name, error = &error as &dyn Error, "worker step failed; retrying");
                    failing = true;
                }
                Ok(Ok(()) | Err(_)) => {}
                Err(_) => {
                    error!(worker = name, "worker step panicked; retrying");
                    failing = true;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}
