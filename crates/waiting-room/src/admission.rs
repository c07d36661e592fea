//! The tick: draws, calls and renews.

use std::collections::HashMap;
use std::sync::Arc;

use encore_domain::ports::Clock;
use tokio::time::Instant;

use crate::error::WaitingRoomError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::recovery::Recovery;
use crate::registry::ReplicaRegistry;
use crate::stock::Stock;

/// Calls fans in all open queues.
pub(crate) struct Admission {
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) open_queues: Arc<OpenQueues>,
    pub(crate) replicas: Arc<ReplicaRegistry>,
    pub(crate) stock: Arc<dyn Stock>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Admission {
    /// Draws the numbers of every queue that has opened, calls as many fans as rate, batch, maximum and stock allow, and renews the
    /// replicas. A queue that fails does not stop the others.
    pub(crate) async fn tick(&self) -> Result<(), WaitingRoomError> {
        let (mut outcome, mut admitted_in) = (Ok(()), HashMap::new());
        for open in self.open_queues.all() {
            let begun = Instant::now();
            outcome = outcome.and(self.admit(&open).await);
            admitted_in.insert(open.performance, begun.elapsed());
        }
        outcome.and(self.replicas.renew_all(admitted_in).await)
    }

    async fn admit(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        self.recovery.draw(open).await?;
        // An unknown stock limits nothing: the claims decide each hold anyway.
        let stock = self.stock.stock(open.performance).await.ok();
        self.recovery.admit(open, &open.terms(stock, self.clock.now())).await
    }
}
