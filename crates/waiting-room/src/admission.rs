//! The tick: draws, calls and renews.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use encore_bulkhead::Bulkhead;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use metrics::histogram;
use tokio::time::Instant;

use crate::error::WaitingRoomError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::recovery::Recovery;
use crate::registry::ReplicaRegistry;
use crate::replica::Replica;
use crate::stock::Stock;

/// The longest tick draws a million numbers, or restores a queue of a million fans: seconds of a core.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Calls fans in all open queues.
pub(crate) struct Admission {
    pub(crate) bulkhead: Bulkhead,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) open_queues: Arc<OpenQueues>,
    pub(crate) replicas: Arc<ReplicaRegistry>,
    pub(crate) stock: Arc<dyn Stock>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What the tick of one performance is about: its queue if it is open, and its replica if somebody reads it.
type Ticked = (Option<OpenQueue>, Option<Arc<Replica>>);

impl Admission {
    /// Draws the numbers of every queue that has opened, calls as many fans as rate, batch, maximum and stock allow, and renews the
    /// replicas in use. The performances tick side by side: one that fails or hangs delays no other.
    pub(crate) async fn tick(self: &Arc<Self>) -> Result<(), WaitingRoomError> {
        self.run(true).await
    }

    /// Renews the replicas in use.
    pub(crate) async fn renew(self: &Arc<Self>) -> Result<(), WaitingRoomError> {
        self.run(false).await
    }

    async fn run(self: &Arc<Self>, admits: bool) -> Result<(), WaitingRoomError> {
        let mut ticked: HashMap<PerformanceId, Ticked> = HashMap::new();
        for open in self.open_queues.all().into_iter().filter(|_| admits) {
            let performance = open.performance;
            ticked.entry(performance).or_default().0 = Some(open);
        }
        for (performance, replica) in self.replicas.in_use() {
            ticked.entry(performance).or_default().1 = Some(replica);
        }
        self.replicas.keep_admissions(|performance| ticked.get(&performance).is_some_and(|(open, _)| open.is_some()));
        let tick = |(open, replica)| {
            let admission = Arc::clone(self);
            async move { admission.tick_one(open, replica).await }
        };
        self.bulkhead.run(ticked, tick).await
    }

    async fn tick_one(&self, open: Option<OpenQueue>, replica: Option<Arc<Replica>>) -> Result<(), WaitingRoomError> {
        let begun = Instant::now();
        let admitted = match &open {
            Some(open) => self.admit(open).await,
            None => Ok(()),
        };
        if let Some(open) = open {
            histogram!("encore_queue_tick_duration_seconds").record(begun.elapsed());
            self.replicas.note_admission(open.performance, begun.elapsed());
        }
        let Some(replica) = replica else { return admitted };
        admitted.and(self.replicas.renew_ticked(&replica).await)
    }

    async fn admit(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        self.recovery.draw(open).await?;
        // An unknown stock limits nothing: the claims decide each hold anyway.
        let stock = self.stock.stock(open.performance).await.ok();
        self.recovery.admit(open, &open.terms(stock, self.clock.now())).await
    }
}
