//! Whether anything of a performance is sold, as of a moment ago. Until then nobody has bought up to a limit, and the many fans who
//! join a queue at once cost no query.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStatus;
use encore_domain::ids::PerformanceId;
use moka::future::Cache;

use crate::error::SeatMapError;
use crate::reader::SeatReader;
use crate::registry::ReplicaRegistry;

/// How long an answer is reused. A sale on another instance is noticed after this time.
const REUSED_FOR: Duration = Duration::from_secs(1);
/// For how many performances an answer is kept. Each takes a few dozen bytes.
const ANSWERS_KEPT: u64 = 10_000;

/// Which performances have sold seats.
pub(crate) struct SoldPerformances {
    reader: SeatReader,
    replicas: ReplicaRegistry,
    known: Cache<PerformanceId, bool>,
}

impl SoldPerformances {
    pub(crate) fn new(reader: SeatReader, replicas: ReplicaRegistry) -> Self {
        let known = Cache::builder().max_capacity(ANSWERS_KEPT).time_to_live(REUSED_FOR).build();
        Self { reader, replicas, known }
    }

    /// Whether any seat of a performance is sold. Concurrent callers share a read of the replica.
    pub(crate) async fn any(&self, performance: PerformanceId) -> Result<bool, Arc<SeatMapError>> {
        match self.known.get(&performance).await {
            Some(any) => Ok(any),
            // Boxed, because it is rare and takes more than a whole call that joins a queue.
            None => Box::pin(self.known.try_get_with(performance, self.read(performance))).await,
        }
    }

    async fn read(&self, performance: PerformanceId) -> Result<bool, SeatMapError> {
        let context = self.reader.context(performance).await?;
        Ok(self.replicas.state(&context).await?.statuses.contains(&Some(SeatStatus::Sold)))
    }

    /// Notes that a seat was sold.
    pub(crate) async fn note(&self, performance: PerformanceId) {
        self.known.insert(performance, true).await;
    }
}
