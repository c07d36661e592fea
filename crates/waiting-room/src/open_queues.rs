//! A copy of the open queues and their settings. Every instance refreshes it twice a second, so calls do not read the catalog.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};
use encore_domain::queue::{AdmissionTerms, DrawKey, Queue};
use encore_domain::time::Timestamp;

/// How often every instance reads the catalog. An operator's change takes effect everywhere within this time.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_millis(500);

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
    /// Whether the queue is in its pre-queue: fans join, and their numbers are drawn at the opening.
    pub fn has_pre_queue_at(&self, now: Timestamp) -> bool {
        self.queue.draw.is_some() && now < self.opens_at
    }

    /// The terms of an admission now.
    pub(crate) fn terms(&self, stock: Option<StockByNeed>, now: Timestamp) -> AdmissionTerms {
        self.queue.settings.terms(stock, self.opens_at, now)
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
}

impl OpenQueues {
    /// An empty copy. The first refresh fills it.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, on_sale: RwLock::default() }
    }

    /// Reads the catalog.
    pub(crate) async fn refresh(&self) -> Result<(), Unavailable> {
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

    /// A queue, open or closed.
    pub(crate) async fn find_closed_too(&self, performance: PerformanceId) -> Result<Option<Arc<Queue>>, Unavailable> {
        match self.find(performance) {
            Some(open) => Ok(Some(open.queue)),
            None => Ok(self.catalog.queue(performance).await?.map(Arc::new)),
        }
    }
}
