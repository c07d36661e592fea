//! Runs the use cases of calls: each in its caller's turn and with a deadline, changes to their end, and shutdown waits for all of
//! them.
//!
//! The future of a use case takes some KiB. It is boxed once, because each future that holds it would be as large and be copied when
//! it is moved.

use std::time::Duration;

use encore_app::error::AppError;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tracing::Instrument;

use crate::connections::ConnectionLimits;
use crate::shares::Shares;
use crate::status::{no_answer_in_time, status};

/// The deadline of a use case, from when its turn comes. It is longer than the stores' own timeouts, so that it is reached
/// only if a store accepts a command and never replies.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// Runs and tracks the use cases of calls.
#[derive(Clone)]
pub(crate) struct Calls {
    running: TaskTracker,
    shares: Shares,
}

impl Calls {
    pub(crate) fn new(limits: &ConnectionLimits) -> Self {
        Self { running: TaskTracker::new(), shares: Shares::new(limits) }
    }

    /// Runs a use case that changes nothing, in its caller's turn. It is cancelled when its caller goes away.
    pub(crate) fn read<T>(
        &self,
        read: impl Future<Output = Result<T, AppError>>,
    ) -> impl Future<Output = Result<T, Status>> {
        let read = Box::pin(read);
        async move {
            let _running = self.running.token();
            let _turn = self.shares.turn_of_call().await?;
            self.answer(read).await
        }
    }

    /// The same for a use case that waits for a turn of its own.
    pub(crate) fn read_in_turn<T>(
        &self,
        read: impl Future<Output = Result<T, AppError>>,
    ) -> impl Future<Output = Result<T, Status>> {
        self.answer(Box::pin(read))
    }

    async fn answer<T>(&self, read: impl Future<Output = Result<T, AppError>>) -> Result<T, Status> {
        let answer = self.running.track_future(timeout(ANSWER_WITHIN, read)).await;
        answer.map_err(|_| no_answer_in_time())?.map_err(status)
    }

    /// Runs a use case that changes something, in its caller's turn and on a task of its own: a client that goes away does not
    /// interrupt it. After the deadline it continues without its caller, and a repeat of the request returns its result.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Status>> {
        let write = Box::pin(write);
        async move {
            let _running = self.running.token();
            let turn = self.shares.turn_of_call().await?;
            self.spawn(async move {
                let _turn = turn;
                write.await
            })
            .await
        }
    }

    /// The same for a use case that waits for a turn of its own.
    pub(crate) fn write_in_turn<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Status>> {
        self.spawn(Box::pin(write))
    }

    async fn spawn<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, Status> {
        let writing = self.running.spawn(write.in_current_span());
        let written = timeout(ANSWER_WITHIN, writing).await.map_err(|_| no_answer_in_time())?;
        written.unwrap_or_else(|failed| Err(AppError::Internal(failed.to_string()))).map_err(status)
    }

    /// Waits until every use case has ended.
    pub(crate) async fn finish(&self) {
        self.running.close();
        self.running.wait().await;
    }
}
