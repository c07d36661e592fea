//! Notes durably which queue tokens have ended, so that a restored queue and a store that is away refuse them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::EndedToken;
use tokio::sync::oneshot;

use super::Recovery;
use crate::error::WaitingRoomError;

/// The most tokens in one write: it takes a fraction of a second.
const NOTED_AT_ONCE: usize = 10_000;
/// The most tokens that are kept while they cannot be written. Beyond that, a restored queue lets some fans who were absent wait again.
const UNWRITTEN_MAX: usize = 100_000;

/// A queue and its run.
type Run = (PerformanceId, i64);

/// The tokens that are to be noted, by queue. Calls that arrive while a write is under way are written together.
#[derive(Default)]
pub(super) struct EndedNotes {
    waiting: Mutex<HashMap<Run, Batch>>,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Batch {
    tokens: Vec<EndedToken>,
    /// Who is told whether the batch was written.
    callers: Vec<oneshot::Sender<bool>>,
}

impl Recovery {
    /// Notes tokens that have ended. When it returns, the notes are durable. What cannot be written is written with a later call.
    pub(super) async fn note_ended(
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
            let mut waiting = self.ended_notes.waiting();
            let batch = waiting.entry((performance, epoch)).or_default();
            batch.tokens.extend(tokens);
            batch.callers.push(caller);
        }
        {
            let _turn = self.ended_notes.writing.lock().await;
            self.write_notes().await;
        }
        let is_written = is_written.await.unwrap_or(false);
        if is_written { Ok(()) } else { Err(Unavailable::of("postgres").into()) }
    }

    /// Writes everything that waits. Finds nothing if an earlier call has written it.
    async fn write_notes(&self) {
        let batches = std::mem::take(&mut *self.ended_notes.waiting());
        for ((performance, epoch), batch) in batches {
            let mut is_written = true;
            for tokens in batch.tokens.chunks(NOTED_AT_ONCE) {
                is_written &= self.ports.records.note_ended(performance, epoch, tokens).await.is_ok();
            }
            if !is_written {
                let mut waiting = self.ended_notes.waiting();
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
}

impl EndedNotes {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Run, Batch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
