//! Notes durably which queue tokens have ended, so that a restored queue and a store that is away refuse them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::QueueRecords;
use encore_domain::queue::EndedToken;
use tokio::sync::oneshot;

use crate::error::WaitingRoomError;

/// The most tokens in one write: it takes a fraction of a second.
const NOTED_AT_ONCE: usize = 10_000;
/// The most tokens that are kept while they cannot be written. Beyond that, a restored queue lets some fans who were absent wait again.
const UNWRITTEN_MAX: usize = 100_000;

/// A queue and its run.
type Run = (PerformanceId, i64);

/// The tokens that are to be noted, by queue. Calls that arrive while a write is under way are written together.
pub(super) struct EndedNotes {
    records: Arc<dyn QueueRecords>,
    waiting: Mutex<HashMap<Run, Batch>>,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Batch {
    tokens: Vec<EndedToken>,
    /// Who is told whether the batch was written.
    callers: Vec<oneshot::Sender<bool>>,
}

impl EndedNotes {
    pub(super) fn new(records: Arc<dyn QueueRecords>) -> Self {
        Self { records, waiting: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Notes tokens that have ended. When it returns, the notes are durable. What cannot be written is written with a later call.
    pub(super) async fn note(
        &self,
        performance: PerformanceId,
        epoch: i64,
        tokens: Vec<EndedToken>,
    ) -> Result<(), WaitingRoomError> {
        if tokens.is_empty() {
            return Ok(());
        }
        let (caller, is_written) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            let batch = waiting.entry((performance, epoch)).or_default();
            batch.tokens.extend(tokens);
            batch.callers.push(caller);
        }
        {
            let _turn = self.writing.lock().await;
            self.write().await;
        }
        let is_written = is_written.await.unwrap_or(false);
        if is_written { Ok(()) } else { Err(Unavailable::of("postgres").into()) }
    }

    /// Writes everything that waits. Finds nothing if an earlier call has written it.
    async fn write(&self) {
        let batches = std::mem::take(&mut *self.waiting());
        for ((performance, epoch), batch) in batches {
            let mut is_written = true;
            for tokens in batch.tokens.chunks(NOTED_AT_ONCE) {
                is_written &= self.records.note_ended(performance, epoch, tokens).await.is_ok();
            }
            if !is_written {
                let mut waiting = self.waiting();
                let unwritten = &mut waiting.entry((performance, epoch)).or_default().tokens;
                unwritten.extend(batch.tokens);
                unwritten.truncate(UNWRITTEN_MAX);
            }
            for caller in batch.callers {
                // Fails if the caller has gone.
                let _ = caller.send(is_written);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Run, Batch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
