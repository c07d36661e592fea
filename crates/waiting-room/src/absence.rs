//! Ends the tokens of fans who were absent for longer than the grace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_bulkhead::Bulkhead;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;

use crate::error::WaitingRoomError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::recovery::Recovery;
use crate::registry::ReplicaRegistry;
use crate::replica::Replica;

/// A sweep takes two calls of the queue store.
const DEADLINE: Duration = Duration::from_secs(10);

/// A grace, and since when every step has succeeded with it.
type HealthySince = (Duration, Timestamp);

/// Reports present fans and ends absent ones.
pub(crate) struct AbsenceSweep {
    bulkhead: Bulkhead,
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
        let (bulkhead, healthy_since) = (Bulkhead::new("presence", DEADLINE), Mutex::default());
        Self { bulkhead, recovery, open_queues, replicas, clock, healthy_since }
    }

    /// Reports the present fans of every open queue, then `ends` the tokens of its absent ones or does not. The queues are swept side
    /// by side.
    pub(crate) async fn run(self: &Arc<Self>, ends: bool) -> Result<(), WaitingRoomError> {
        let open_queues = self.open_queues.all();
        let is_open = |performance: &PerformanceId| open_queues.iter().any(|open| open.performance == *performance);
        self.healthy_since().retain(|performance, _| is_open(performance));
        let mut replicas: HashMap<_, _> = self.replicas.in_use().into_iter().collect();
        let queues = open_queues.into_iter().map(|open| (open.performance, (replicas.remove(&open.performance), open)));
        let sweep = |(replica, open)| {
            let sweep = Arc::clone(self);
            async move { sweep.sweep(replica, &open, ends).await }
        };
        self.bulkhead.run(queues.collect::<Vec<_>>(), sweep).await
    }

    /// While no instance can report, every fan of a queue seems absent. So after a start, an outage or a change of the grace, no
    /// token of the queue is ended until every step has succeeded for a whole grace.
    async fn sweep(&self, replica: Option<Arc<Replica>>, open: &OpenQueue, ends: bool) -> Result<(), WaitingRoomError> {
        // A sweep that fails, or is dropped at its deadline, does not put it back.
        let before = self.healthy_since().remove(&open.performance);
        if let Some(replica) = replica {
            self.replicas.report_present(&replica, open).await?;
        }
        if !ends {
            return Ok(());
        }
        let (now, grace) = (self.clock.now(), open.queue.settings.grace);
        let since = before.filter(|(known, _)| *known == grace).map_or(now, |(_, since)| since);
        if since + grace <= now {
            self.recovery.abandon_absent(open).await?;
        }
        self.healthy_since().insert(open.performance, (grace, since));
        Ok(())
    }

    fn healthy_since(&self) -> MutexGuard<'_, HashMap<PerformanceId, HealthySince>> {
        self.healthy_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
