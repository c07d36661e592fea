//! Writes outlive their callers.

use encore_app::error::AppError;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::status::status;

/// Runs each write on a task of its own, so that a client that goes away never leaves half a step, and shutdown can wait
/// for all of them.
#[derive(Clone, Default)]
pub struct Writes(TaskTracker);

impl Writes {
    /// Runs a write to its end, whatever becomes of the caller.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, Status> {
        let outcome = self.0.spawn(tracing::Instrument::in_current_span(write)).await;
        let outcome = outcome.unwrap_or_else(|failed| Err(AppError::Internal(failed.to_string())));
        outcome.map_err(status)
    }

    /// Waits until every write has ended. No more are expected.
    pub async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
