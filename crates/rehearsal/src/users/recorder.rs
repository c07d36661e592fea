//! What all fans of a journey measured together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::Status;

use crate::load::{Outcome, Tally};
use crate::report::model::Measurement;

/// Tallies by call.
#[derive(Debug, Default)]
pub struct Recorder {
    tallies: Mutex<BTreeMap<&'static str, Tally>>,
    /// All calls since somebody last looked.
    recent: Mutex<Tally>,
}

/// How many calls there were so far, of all kinds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Answered, refusals included.
    pub answers: u64,
    /// Refused.
    pub refused: u64,
    /// Failed.
    pub errors: u64,
}

impl Recorder {
    /// Counts an answer that took this long from its intended start.
    pub fn count<T>(&self, call: &'static str, took: Duration, answer: &Result<T, Status>) {
        let outcome = Outcome::of(answer);
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).count(took, outcome.clone());
        self.lock().entry(call).or_default().count(took, outcome);
    }

    /// The calls since this was last asked.
    pub fn recent(&self) -> Tally {
        std::mem::take(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many there were so far.
    pub fn totals(&self) -> Totals {
        let tallies = self.lock();
        let mut totals = Totals::default();
        for tally in tallies.values() {
            totals.answers += tally.successes() + tally.refusals();
            totals.refused += tally.refusals();
            totals.errors += tally.errors();
        }
        totals
    }

    /// What is reported of each kind of call.
    pub fn measurements(&self, phase: &str, span: Duration) -> Vec<Measurement> {
        self.lock().iter().map(|(call, tally)| tally.measurement(phase, call, None, span)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
