//! What is on sale now, and how its queues admit: read by every instance twice a second, so that no fan's call has to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};
use encore_domain::queue::{AdmissionTerms, DrawKey, Queue};
use encore_domain::time::Timestamp;

/// A performance that fans may come for.
#[derive(Clone, Debug)]
pub struct OpenSale {
    /// When seats may be held; before that only a queue that collects joiners is open.
    pub opens_at: Timestamp,
    /// The queue in front of it.
    pub queue: Option<OpenQueue>,
}

/// A queue that is open, or collects joiners.
#[derive(Clone, Debug)]
pub struct OpenQueue {
    /// When it calls the first.
    pub opens_at: Timestamp,
    /// How it admits, and how it draws.
    pub queue: Arc<Queue>,
}

impl OpenQueue {
    /// The terms of an admission now.
    pub fn terms(&self, stock: Option<SeatStock>, now: Timestamp) -> AdmissionTerms {
        self.queue.settings.terms(stock, self.opens_at, now)
    }

    /// The key of its draw, if it has one.
    pub fn draw_key(&self) -> Option<DrawKey> {
        self.queue.draw.map(|draw| draw.key)
    }
}

type OnSale = HashMap<PerformanceId, OpenSale>;

/// A copy of what the catalogue says is on sale.
#[derive(Clone)]
pub struct OpenQueues {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    on_sale: Arc<RwLock<Arc<OnSale>>>,
}

impl OpenQueues {
    /// How often every instance reads the catalogue again: a change by an operator takes no longer than this.
    pub const REFRESH_EVERY: Duration = Duration::from_millis(500);

    /// Knows of nothing until the first refresh.
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, on_sale: Arc::default() }
    }

    /// Reads the catalogue.
    pub async fn refresh(&self) -> Result<(), Unavailable> {
        let on_sale = self.catalog.on_sale(self.clock.now()).await?;
        let on_sale = on_sale.into_iter().map(|sale| {
            let opens_at = sale.opens_at;
            let queue = sale.queue.map(|queue| OpenQueue { opens_at, queue: Arc::new(queue) });
            (sale.performance, OpenSale { opens_at, queue })
        });
        *self.on_sale.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(on_sale.collect());
        Ok(())
    }

    /// Every performance on sale, and those whose queue collects joiners, as of the last refresh.
    pub fn on_sale(&self) -> Arc<OnSale> {
        Arc::clone(&self.on_sale.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every open queue, as of the last refresh.
    pub fn queues(&self) -> Vec<(PerformanceId, OpenQueue)> {
        let on_sale = self.on_sale();
        on_sale.iter().filter_map(|(performance, sale)| Some((*performance, sale.queue.clone()?))).collect()
    }

    /// An open queue, as of the last refresh.
    pub fn queue(&self, performance: PerformanceId) -> Option<OpenQueue> {
        self.on_sale().get(&performance).and_then(|sale| sale.queue.clone())
    }

    /// An open queue; one that has just opened is looked up.
    pub async fn queue_now(&self, performance: PerformanceId) -> Result<Option<OpenQueue>, Unavailable> {
        if let Some(queue) = self.queue(performance) {
            return Ok(Some(queue));
        }
        self.refresh().await?;
        Ok(self.queue(performance))
    }

    /// A queue, whether it is open or over.
    pub async fn queue_ever(&self, performance: PerformanceId) -> Result<Option<Arc<Queue>>, Unavailable> {
        match self.queue(performance) {
            Some(open) => Ok(Some(open.queue)),
            None => Ok(self.catalog.queue(performance).await?.map(Arc::new)),
        }
    }
}
