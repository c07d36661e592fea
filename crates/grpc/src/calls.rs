//! Calls that are being answered: none for ever, writes to their end, and shutdown waits for all.

use std::time::Duration;

use encore_app::error::AppError;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tracing::Instrument;

use crate::status::{no_answer_in_time, status};

/// How long a use case may take to answer, from when the request is read. Longer than any store may take by its own timeouts,
/// so that it is reached only when a store takes a question and says nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// Runs the use cases that answer calls.
#[derive(Clone, Default)]
pub(crate) struct Calls(TaskTracker);

impl Calls {
    /// Runs a use case that changes nothing. It ends with its caller.
    pub(crate) async fn read<T>(&self, read: impl Future<Output = Result<T, AppError>>) -> Result<T, Status> {
        let answer = self.0.track_future(timeout(ANSWER_WITHIN, read)).await;
        answer.map_err(|_| no_answer_in_time())?.map_err(status)
    }

    /// Runs a use case that changes something, on a task of its own, so that a client that goes away never leaves half a
    /// step. What takes too long goes on without its caller, and a repeat finds what it did.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, Status> {
        let writing = self.0.spawn(write.in_current_span());
        let written = timeout(ANSWER_WITHIN, writing).await.map_err(|_| no_answer_in_time())?;
        written.unwrap_or_else(|failed| Err(AppError::Internal(failed.to_string()))).map_err(status)
    }

    /// Waits until every use case has ended.
    pub(crate) async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
