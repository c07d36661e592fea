//! Tells consumers once that a queue has opened.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};

use crate::open_queues::OpenQueue;

/// The openings that this instance knows to be noted. Each is asked of the catalog once per instance, and noted once by all.
pub(crate) struct Openings {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    noted: Mutex<HashSet<PerformanceId>>,
}

impl Openings {
    /// Knows of none.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, noted: Mutex::default() }
    }

    /// Notes that a queue is open, unless this instance knows that it is noted.
    pub(crate) async fn note(&self, open: &OpenQueue) -> Result<(), Unavailable> {
        if self.noted().contains(&open.performance) {
            return Ok(());
        }
        self.catalog.note_opening(open.opening(self.clock.now())).await?;
        self.noted().insert(open.performance);
        Ok(())
    }

    /// Forgets the queues that are not open.
    pub(crate) fn forget_closed(&self, is_open: impl Fn(PerformanceId) -> bool) {
        self.noted().retain(|performance| is_open(*performance));
    }

    fn noted(&self) -> MutexGuard<'_, HashSet<PerformanceId>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
