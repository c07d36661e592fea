//! The copies of live seats that this instance keeps: of every performance that somebody asks about here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatState, SeatStock};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::SeatChanges;
use tokio::task::AbortHandle;

use crate::contexts::PerformanceContext;
use crate::error::AppError;
use crate::seat_reader::SeatReader;
use crate::seat_replica::{SeatReplica, lock};
use crate::seat_replica_updater::SeatReplicaUpdater;

/// How many performances are followed at once; the copy of the largest venue takes 100 KB.
const FOLLOWED_MAX: usize = 1_000;
/// Counts alone make no more than these be followed, so that whoever lists what is on sale leaves room for those who look at
/// seats.
const FOLLOWED_FOR_COUNTS_MAX: usize = FOLLOWED_MAX / 2;
/// How long after somebody asked last a performance is followed.
const FOLLOWED_FOR: Duration = Duration::from_secs(30);

/// The replicas of the performances that are followed. Clones share them; their followers end with the last of them.
#[derive(Clone)]
pub(crate) struct SeatReplicaRegistry {
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    replicas: Arc<Mutex<HashMap<PerformanceId, Followed>>>,
}

struct Followed {
    replica: Arc<SeatReplica>,
    updater: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.updater.abort();
    }
}

impl SeatReplicaRegistry {
    /// Follows nothing yet.
    pub(crate) fn new(reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { reader, changes, replicas: Arc::default() }
    }

    /// The seats of a performance, with every change that was made before this was asked.
    pub(crate) async fn seats(&self, context: &PerformanceContext) -> Result<Arc<SeatState>, AppError> {
        match self.replica(context, FOLLOWED_MAX) {
            Some(replica) => replica.seats(&self.reader).await,
            None => Ok(Arc::new(self.reader.live(context).await?)),
        }
    }

    /// The replica of a performance, with every change that was made before this was asked told or about to be.
    pub(crate) async fn watched(&self, context: &PerformanceContext) -> Result<Arc<SeatReplica>, AppError> {
        let replica = self.replica(context, FOLLOWED_MAX).ok_or(AppError::Overloaded)?;
        let state = replica.seats(&self.reader).await?;
        replica.sent(&state).await;
        Ok(replica)
    }

    /// How many seats are free and how many held, in the order asked, as of a moment ago. Only performances that are not
    /// followed yet are asked about.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, AppError> {
        let mut stock = Vec::with_capacity(performances.len());
        for performance in performances {
            let context = self.reader.context(*performance).await?;
            stock.push(self.replica(&context, FOLLOWED_FOR_COUNTS_MAX).and_then(|replica| replica.stock()));
        }
        let unknown = performances.iter().zip(&stock).filter(|(_, stock)| stock.is_none());
        let unknown: Vec<PerformanceId> = unknown.map(|(performance, _)| *performance).collect();
        if unknown.is_empty() {
            return Ok(stock.into_iter().flatten().collect());
        }
        let mut asked = self.reader.stock(&unknown).await?.into_iter();
        Ok(stock.into_iter().filter_map(|known| known.or_else(|| asked.next())).collect())
    }

    /// The replica of a performance, which is followed from now on; none if as many are as may be.
    fn replica(&self, context: &PerformanceContext, followed_max: usize) -> Option<Arc<SeatReplica>> {
        let performance = context.performance.id;
        let mut replicas = lock(&self.replicas);
        if let Some(Followed { replica, updater }) = replicas.get(&performance)
            && !updater.is_finished()
        {
            replica.ask();
            return Some(Arc::clone(replica));
        }
        replicas.remove(&performance);
        if replicas.len() >= followed_max {
            return None;
        }
        let replica = Arc::new(SeatReplica::new(context.clone()));
        let updater = tokio::spawn(self.keep(Arc::clone(&replica))).abort_handle();
        replicas.insert(performance, Followed { replica: Arc::clone(&replica), updater });
        Some(replica)
    }

    /// Keeps a replica until nobody has asked about it for a while.
    fn keep(&self, replica: Arc<SeatReplica>) -> impl Future<Output = ()> + Send + use<> {
        let updater = SeatReplicaUpdater::new(Arc::clone(&replica), self.reader.clone(), Arc::clone(&self.changes));
        let replicas = Arc::downgrade(&self.replicas);
        updater.keep(move || {
            let Some(replicas) = replicas.upgrade() else { return true };
            // Whoever asks does so under this lock, so that nobody is given a replica that is being forgotten.
            let mut replicas = lock(&replicas);
            let over = !replica.is_wanted_within(FOLLOWED_FOR);
            if over {
                replicas.remove(&replica.context.performance.id);
            }
            over
        })
    }
}
