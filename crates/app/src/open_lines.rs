//! What is on sale now, and how its lines admit: read by every instance once a second, so that no fan's call has to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Clock};
use encore_domain::queue::LineSettings;

type OnSale = HashMap<PerformanceId, Option<LineSettings>>;

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
        let on_sale = Arc::new(on_sale.into_iter().collect());
        *self.on_sale.write().unwrap_or_else(PoisonError::into_inner) = on_sale;
        Ok(())
    }

    /// Every performance on sale, as of the last refresh.
    pub fn on_sale(&self) -> Arc<OnSale> {
        Arc::clone(&self.on_sale.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The settings of an open line, as of the last refresh.
    pub fn settings(&self, performance: PerformanceId) -> Option<LineSettings> {
        self.on_sale().get(&performance).copied().flatten()
    }

    /// The settings of an open line; one that has just opened is looked up.
    pub async fn settings_now(&self, performance: PerformanceId) -> Result<Option<LineSettings>, Unavailable> {
        if let Some(settings) = self.settings(performance) {
            return Ok(Some(settings));
        }
        self.refresh().await?;
        Ok(self.settings(performance))
    }
}
