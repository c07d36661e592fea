//! What is on sale now, and how its lines admit: read by every instance twice a second, so that no fan's call has to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};
use encore_domain::queue::{AdmissionTerms, DrawKey, Line};
use encore_domain::seat_state::SeatStock;
use encore_domain::time::Timestamp;

/// A performance that fans may come for.
#[derive(Clone, Debug)]
pub struct OpenSale {
    /// When seats may be held; before that only a line that collects joiners is open.
    pub opens_at: Timestamp,
    /// The line in front of it.
    pub line: Option<OpenLine>,
}

/// A line that is open, or collects joiners.
#[derive(Clone, Debug)]
pub struct OpenLine {
    /// When it calls the first.
    pub opens_at: Timestamp,
    /// How it admits, and how it draws.
    pub line: Arc<Line>,
}

impl OpenLine {
    /// The terms of an admission now.
    pub fn terms(&self, stock: Option<SeatStock>, now: Timestamp) -> AdmissionTerms {
        self.line.settings.terms(stock, self.opens_at, now)
    }

    /// The key of its draw, if it has one.
    pub fn draw_key(&self) -> Option<DrawKey> {
        self.line.draw.map(|draw| draw.key)
    }
}

type OnSale = HashMap<PerformanceId, OpenSale>;

/// A copy of what the catalogue says is on sale.
#[derive(Clone)]
pub struct OpenLines {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    on_sale: Arc<RwLock<Arc<OnSale>>>,
}

impl OpenLines {
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
            let line = sale.line.map(|line| OpenLine { opens_at, line: Arc::new(line) });
            (sale.performance, OpenSale { opens_at, line })
        });
        *self.on_sale.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(on_sale.collect());
        Ok(())
    }

    /// Every performance on sale, and those whose line collects joiners, as of the last refresh.
    pub fn on_sale(&self) -> Arc<OnSale> {
        Arc::clone(&self.on_sale.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every open line, as of the last refresh.
    pub fn lines(&self) -> Vec<(PerformanceId, OpenLine)> {
        let on_sale = self.on_sale();
        on_sale.iter().filter_map(|(performance, sale)| Some((*performance, sale.line.clone()?))).collect()
    }

    /// An open line, as of the last refresh.
    pub fn line(&self, performance: PerformanceId) -> Option<OpenLine> {
        self.on_sale().get(&performance).and_then(|sale| sale.line.clone())
    }

    /// An open line; one that has just opened is looked up.
    pub async fn line_now(&self, performance: PerformanceId) -> Result<Option<OpenLine>, Unavailable> {
        if let Some(line) = self.line(performance) {
            return Ok(Some(line));
        }
        self.refresh().await?;
        Ok(self.line(performance))
    }

    /// A line, whether it is open or over.
    pub async fn line_ever(&self, performance: PerformanceId) -> Result<Option<Arc<Line>>, Unavailable> {
        match self.line(performance) {
            Some(open) => Ok(Some(open.line)),
            None => Ok(self.catalog.line(performance).await?.map(Arc::new)),
        }
    }
}
