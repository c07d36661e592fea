//! How far a sale is, for the live view and for plots.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::report::model::Sample;
use crate::users::recorder::Totals;

/// Counts that fans change as they go.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each field counts what its name says")]
pub struct Progress {
    pub waiting: AtomicU64,
    pub admitted: AtomicU64,
    pub inside: AtomicU64,
    pub holding: AtomicU64,
    pub seats_sold: AtomicU64,
    pub gone: AtomicU64,
    /// As the server said last.
    pub seats_left: AtomicU64,
    /// How many fans ended how.
    fates: Mutex<BTreeMap<&'static str, u64>>,
}

/// A fan's part in one of the counts of the moment; it ends with this.
#[derive(Debug)]
pub struct Counted<'p>(&'p AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress {
    /// Counts somebody until what is answered is dropped.
    pub fn during(count: &AtomicU64) -> Counted<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }

    /// A fan is done, and how.
    pub fn end(&self, fate: &'static str) {
        self.gone.fetch_add(1, Ordering::Relaxed);
        *self.fates.lock().unwrap_or_else(PoisonError::into_inner).entry(fate).or_default() += 1;
    }

    /// How many fans ended how.
    pub fn fates(&self) -> BTreeMap<&'static str, u64> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This moment.
    pub fn sample(&self, at: Duration, totals: Totals) -> Sample {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Sample {
            at: at.as_secs_f64(),
            waiting: now(&self.waiting),
            admitted: now(&self.admitted),
            inside: now(&self.inside),
            holding: now(&self.holding),
            seats_sold: now(&self.seats_sold),
            seats_left: now(&self.seats_left),
            refused: totals.refused,
            answers: totals.answers,
            errors: totals.errors,
        }
    }
}
