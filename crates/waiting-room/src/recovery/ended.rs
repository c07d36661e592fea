//! Notes durably which queue tokens have ended because their fans took another or were absent, so that a restored queue and a store
//! that is away refuse them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::QueueRecords;
use encore_domain::queue::EndedToken;

/// The most tokens in one write: it takes a fraction of a second.
const NOTED_AT_ONCE: usize = 10_000;
/// The most tokens of a queue that are kept while they cannot be written. Beyond that, a restored queue lets some fans who were absent
/// wait again.
const UNWRITTEN_MAX: usize = 100_000;

/// A queue and its run.
type Run = (PerformanceId, i64);

/// Writes the notes, and keeps those that could not be written.
pub(super) struct EndedNotes {
    records: Arc<dyn QueueRecords>,
    unwritten: Mutex<HashMap<Run, Vec<EndedToken>>>,
}

/// Notes that a call writes. What it does not come to write, because it fails or is dropped, is kept for the next call.
struct Batch<'a> {
    notes: &'a EndedNotes,
    run: Run,
    tokens: Vec<EndedToken>,
}

impl EndedNotes {
    pub(super) fn new(records: Arc<dyn QueueRecords>) -> Self {
        Self { records, unwritten: Mutex::default() }
    }

    /// Notes tokens that have ended, and those of the queue that were not written before. When it returns, the notes are durable.
    pub(super) async fn note(
        &self,
        performance: PerformanceId,
        epoch: i64,
        mut tokens: Vec<EndedToken>,
    ) -> Result<(), Unavailable> {
        let run = (performance, epoch);
        tokens.extend(self.unwritten().remove(&run).unwrap_or_default());
        let mut batch = Batch { notes: self, run, tokens };
        while !batch.tokens.is_empty() {
            let rest = batch.tokens.len().saturating_sub(NOTED_AT_ONCE);
            self.records.note_ended(performance, epoch, &batch.tokens[rest..]).await?;
            batch.tokens.truncate(rest);
        }
        Ok(())
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<Run, Vec<EndedToken>>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.tokens.is_empty() {
            let mut all = self.notes.unwritten();
            let unwritten = all.entry(self.run).or_default();
            unwritten.append(&mut self.tokens);
            unwritten.truncate(UNWRITTEN_MAX);
        }
    }
}
