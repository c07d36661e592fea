//! The replicas of this instance: one of every performance whose seats are read here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatState, SeatStock, StockByNeed};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::SeatChanges;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::contexts::PerformanceContext;
use crate::error::SeatMapError;
use crate::mutex::lock;
use crate::reader::SeatReader;
use crate::replica::Replica;
use crate::updater::Updater;

/// How many replicas an instance has. The state of the largest venue takes 100 KB.
const REPLICAS_MAX: usize = 1_000;
/// A reader of counts starts no replica beyond this number, so that lists of performances leave room for readers of seats.
const REPLICAS_FOR_COUNTS_MAX: usize = REPLICAS_MAX / 2;
/// How long an unused replica is kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// The replicas of this instance. Clones share them. Their updaters end with the last clone.
#[derive(Clone)]
pub(crate) struct ReplicaRegistry {
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    replicas: Arc<Mutex<HashMap<PerformanceId, Entry>>>,
}

struct Entry {
    replica: Arc<Replica>,
    updater: AbortHandle,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.updater.abort();
    }
}

impl ReplicaRegistry {
    /// Has no replica.
    pub(crate) fn new(reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { reader, changes, replicas: Arc::default() }
    }

    /// The state of a performance with every change that was made before this call.
    pub(crate) async fn state(&self, context: &PerformanceContext) -> Result<Arc<SeatState>, SeatMapError> {
        match self.replica(context, REPLICAS_MAX) {
            Some(replica) => replica.current(&self.reader).await,
            None => Ok(Arc::new(self.reader.live(context).await?)),
        }
    }

    /// The replica of a performance for a watcher. Its latest tick has every change that was made before this call, or follows
    /// within a tick.
    pub(crate) async fn watched(&self, context: &PerformanceContext) -> Result<Arc<Replica>, SeatMapError> {
        let replica = self.replica(context, REPLICAS_MAX).ok_or(SeatMapError::Overloaded)?;
        let state = replica.current(&self.reader).await?;
        replica.ticked(&state).await;
        Ok(replica)
    }

    /// How many seats are free and how many held, in the order of `performances`. Only performances without a recent replica
    /// are queried.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, SeatMapError> {
        let mut stock = Vec::with_capacity(performances.len());
        for performance in performances {
            let context = self.reader.context(*performance).await?;
            stock.push(self.replica(&context, REPLICAS_FOR_COUNTS_MAX).and_then(|replica| replica.stock()));
        }
        let unknown = performances.iter().zip(&stock).filter(|(_, stock)| stock.is_none());
        let unknown: Vec<PerformanceId> = unknown.map(|(performance, _)| *performance).collect();
        if unknown.is_empty() {
            return Ok(stock.into_iter().flatten().collect());
        }
        let mut queried = self.reader.stock(&unknown).await?.into_iter();
        Ok(stock.into_iter().filter_map(|known| known.or_else(|| queried.next())).collect())
    }

    /// How many seats of a performance are free and how many held, by who may buy them. Where there is no recent replica, the counts
    /// are queried, and the state where the venue has accessible seats.
    pub(crate) async fn stock_by_need(&self, performance: PerformanceId) -> Result<StockByNeed, SeatMapError> {
        let context = self.reader.context(performance).await?;
        let replica = self.replica(&context, REPLICAS_FOR_COUNTS_MAX);
        if let Some(stock) = replica.and_then(|replica| replica.stock_by_need()) {
            return Ok(stock);
        }
        if context.venue.chart.accessible_slots().is_empty() {
            let general = self.reader.stock(&[performance]).await?.first().copied().unwrap_or_default();
            return Ok(StockByNeed { general, ..StockByNeed::default() });
        }
        let state = match self.reader.live(&context).await {
            Ok(state) => state,
            Err(unavailable) => {
                warn!(error = &unavailable as &dyn std::error::Error, "seat locks unavailable; counting claims");
                self.reader.claimed(&context).await?
            }
        };
        Ok(state.stock_by_need(&context.venue.chart, state.stock()))
    }

    /// The replica of a performance, which is started if there is none; none if there are `max` others.
    fn replica(&self, context: &PerformanceContext, max: usize) -> Option<Arc<Replica>> {
        let performance = context.performance.id;
        let mut replicas = lock(&self.replicas);
        if let Some(Entry { replica, updater }) = replicas.get(&performance)
            && !updater.is_finished()
        {
            replica.touch();
            return Some(Arc::clone(replica));
        }
        replicas.remove(&performance);
        if replicas.len() >= max {
            return None;
        }
        let replica = Arc::new(Replica::new(context.clone()));
        let updater = tokio::spawn(self.update(Arc::clone(&replica))).abort_handle();
        replicas.insert(performance, Entry { replica: Arc::clone(&replica), updater });
        Some(replica)
    }

    /// Keeps a replica up to date until it is not used any more, and then removes it.
    fn update(&self, replica: Arc<Replica>) -> impl Future<Output = ()> + Send + use<> {
        let updater = Updater::new(Arc::clone(&replica), self.reader.clone(), Arc::clone(&self.changes));
        let replicas = Arc::downgrade(&self.replicas);
        updater.run(move || {
            let Some(replicas) = replicas.upgrade() else { return true };
            // Replicas are handed out under this lock, so that none is handed out that is being removed.
            let mut replicas = lock(&replicas);
            let over = !replica.is_used_within(KEPT_FOR);
            if over {
                replicas.remove(&replica.context.performance.id);
            }
            over
        })
    }
}
