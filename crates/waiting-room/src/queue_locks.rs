//! One lock per queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use encore_domain::ids::PerformanceId;
use tokio::sync::OwnedMutexGuard;

/// The locks of queues. A queue that hangs while it is locked delays no other.
#[derive(Default)]
pub(crate) struct QueueLocks(Mutex<HashMap<PerformanceId, Arc<tokio::sync::Mutex<()>>>>);

impl QueueLocks {
    /// Locks a queue, after those who have locked it before.
    pub(crate) async fn lock(&self, performance: PerformanceId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or awaits a lock that only this map has.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(performance).or_default())
        };
        lock.lock_owned().await
    }
}
