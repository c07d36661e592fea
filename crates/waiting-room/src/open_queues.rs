//! A copy of the open queues and their settings. Every instance refreshes it twice a second, so calls do not read the catalog.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::event::QueueOpening;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};
use encore_domain::queue::{AdmissionTerms, DrawKey, Queue};
use encore_domain::time::Timestamp;
use moka::sync::Cache;
use tokio::sync::Mutex;

/// How often every instance reads the catalog. An operator's change takes effect everywhere within this time.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// Of how many performances it is kept when their pre-queues open. Each takes less than a hundred bytes.
const PRE_QUEUES_KEPT: u64 = 10_000;

/// A queue that is open or in its pre-queue.
#[derive(Clone, Debug)]
pub struct OpenQueue {
    /// Its performance.
    pub performance: PerformanceId,
    /// When it starts to call fans. Before that it is in its pre-queue.
    pub opens_at: Timestamp,
    /// Its settings and its draw.
    pub queue: Arc<Queue>,
}

impl OpenQueue {
    /// The terms of an admission now.
    pub(crate) fn terms(&self, stock: Option<StockByNeed>, now: Timestamp) -> AdmissionTerms {
        self.queue.settings.terms(stock, self.opens_at, now)
    }

    /// Its opening, as it is noted now.
    pub(crate) fn opening(&self, now: Timestamp) -> QueueOpening {
        let opened_at = self.queue.draw.map_or(self.opens_at, |draw| draw.pre_queue_opens_at.min(self.opens_at));
        QueueOpening { performance: self.performance, opened_at, calls_from: self.opens_at, at: now }
    }

    /// The key of its draw, if it has one.
    pub(crate) fn draw_key(&self) -> Option<DrawKey> {
        self.queue.draw.map(|draw| draw.key)
    }
}

/// The performances on sale, each with its queue if it has one. A performance whose queue is in its pre-queue is included.
type OnSale = HashMap<PerformanceId, Option<OpenQueue>>;

/// The copy of the catalog's performances on sale.
pub(crate) struct OpenQueues {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    on_sale: RwLock<Arc<OnSale>>,
    /// Held while the catalog is read.
    reads: Mutex<()>,
    /// The number of the read that began last, and of the last that succeeded.
    begun: AtomicU64,
    succeeded: AtomicU64,
    /// When pre-queues open, of queues with a draw. A draw never changes. Absence of a queue is not kept.
    pre_queues: Cache<PerformanceId, Option<Timestamp>>,
}

impl OpenQueues {
    /// An empty copy. The first refresh fills it.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        let pre_queues = Cache::new(PRE_QUEUES_KEPT);
        Self {
            catalog,
            clock,
            on_sale: RwLock::default(),
            reads: Mutex::default(),
            begun: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            pre_queues,
        }
    }

    /// Reads the catalog. Concurrent callers share a read that began after they called.
    pub(crate) async fn refresh(&self) -> Result<(), Unavailable> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let _reading = self.reads.lock().await;
        if self.succeeded.load(Ordering::SeqCst) > begun_before {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.read().await?;
        self.succeeded.store(number, Ordering::SeqCst);
        Ok(())
    }

    async fn read(&self) -> Result<(), Unavailable> {
        let on_sale = self.catalog.on_sale(self.clock.now()).await?;
        let on_sale = on_sale.into_iter().map(|sale| {
            let (performance, opens_at) = (sale.performance, sale.opens_at);
            (performance, sale.queue.map(|queue| OpenQueue { performance, opens_at, queue: Arc::new(queue) }))
        });
        *self.on_sale.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(on_sale.collect());
        Ok(())
    }

    /// Every performance on sale, as of the last refresh.
    pub(crate) fn on_sale(&self) -> Arc<OnSale> {
        Arc::clone(&self.on_sale.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every open queue, as of the last refresh.
    pub(crate) fn all(&self) -> Vec<OpenQueue> {
        self.on_sale().values().flatten().cloned().collect()
    }

    /// An open queue, as of the last refresh.
    pub(crate) fn find(&self, performance: PerformanceId) -> Option<OpenQueue> {
        self.on_sale().get(&performance).and_then(Clone::clone)
    }

    /// An open queue. One that is unknown is looked up in the catalog: it may have opened since the last refresh.
    pub(crate) async fn find_now(&self, performance: PerformanceId) -> Result<Option<OpenQueue>, Unavailable> {
        if let Some(queue) = self.find(performance) {
            return Ok(Some(queue));
        }
        self.refresh().await?;
        Ok(self.find(performance))
    }

    /// When the pre-queue of a queue opens; none if the queue has no draw. It is read from the catalog once.
    pub(crate) async fn pre_queue_opens_at(
        &self,
        performance: PerformanceId,
    ) -> Result<Option<Timestamp>, Unavailable> {
        if let Some(known) = self.pre_queues.get(&performance) {
            return Ok(known);
        }
        let Some(queue) = self.find_closed_too(performance).await? else { return Ok(None) };
        let opens_at = queue.draw.map(|draw| draw.pre_queue_opens_at);
        self.pre_queues.insert(performance, opens_at);
        Ok(opens_at)
    }

    /// A queue, open or closed.
    pub(crate) async fn find_closed_too(&self, performance: PerformanceId) -> Result<Option<Arc<Queue>>, Unavailable> {
        match self.find(performance) {
            Some(open) => Ok(Some(open.queue)),
            None => Ok(self.catalog.queue(performance).await?.map(Arc::new)),
        }
    }
}
