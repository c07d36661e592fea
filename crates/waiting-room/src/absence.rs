//! Ends the tokens of fans who were absent for longer than the grace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;

use crate::error::WaitingRoomError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::recovery::Recovery;
use crate::registry::ReplicaRegistry;

/// A grace, and since when every step has succeeded with it.
type HealthySince = (Duration, Timestamp);

/// Reports present fans and ends absent ones.
pub(crate) struct AbsenceSweep {
    recovery: Arc<Recovery>,
    open_queues: Arc<OpenQueues>,
    replicas: Arc<ReplicaRegistry>,
    clock: Arc<dyn Clock>,
    healthy_since: Mutex<HashMap<PerformanceId, HealthySince>>,
}

impl AbsenceSweep {
    pub(crate) fn new(
        recovery: Arc<Recovery>,
        open_queues: Arc<OpenQueues>,
        replicas: Arc<ReplicaRegistry>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { recovery, open_queues, replicas, clock, healthy_since: Mutex::default() }
    }

    /// Reports the present fans, then ends the tokens of absent ones. While no instance can report, every fan seems absent. So after
    /// a start, an outage or a change of the grace, no token is ended until every step has succeeded for a whole grace.
    pub(crate) async fn run(&self) -> Result<(), WaitingRoomError> {
        let outcome = match self.replicas.report_present().await {
            Ok(()) => self.end_absent().await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.healthy_since().clear();
        }
        outcome
    }

    async fn end_absent(&self) -> Result<(), WaitingRoomError> {
        let mut outcome = Ok(());
        for open in self.open_queues.all() {
            let now = self.clock.now();
            if self.healthy_since_with(&open, now) + open.queue.settings.grace <= now {
                outcome = outcome.and(self.recovery.abandon_absent(&open).await);
            }
        }
        outcome
    }

    /// Since when every step has succeeded for this queue with its present grace.
    fn healthy_since_with(&self, open: &OpenQueue, now: Timestamp) -> Timestamp {
        let grace = open.queue.settings.grace;
        let mut healthy_since = self.healthy_since();
        let known = healthy_since.entry(open.performance).or_insert((grace, now));
        if known.0 != grace {
            *known = (grace, now);
        }
        known.1
    }

    fn healthy_since(&self) -> MutexGuard<'_, HashMap<PerformanceId, HealthySince>> {
        self.healthy_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
