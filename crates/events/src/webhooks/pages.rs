use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::{OutboxPage, OutboxPlace};
use encore_domain::ports::Outbox;
use moka::future::Cache;

/// How many records a page has at most.
pub const PAGE: u32 = 100;
/// How many pages are kept.
const PAGES_KEPT: u64 = 16;
/// How long a page is kept: until the other endpoints at its place have had their turn.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// The outbox, read once for all endpoints that are at the same place: most of them are near its end.
pub struct SharedPages {
    outbox: Arc<dyn Outbox>,
    pages: Cache<OutboxPlace, Arc<OutboxPage>>,
}

impl SharedPages {
    pub fn new(outbox: Arc<dyn Outbox>) -> Self {
        let pages = Cache::builder().max_capacity(PAGES_KEPT).time_to_live(KEPT_FOR).build();
        Self { outbox, pages }
    }

    /// The records after a place, at most [`PAGE`]. More may have come behind them since.
    pub async fn after(&self, place: OutboxPlace) -> Result<Arc<OutboxPage>, Unavailable> {
        if let Some(page) = self.pages.get(&place).await {
            return Ok(page);
        }
        let page = Arc::new(self.outbox.after(place, PAGE).await?);
        // At the end there is nothing yet, and soon there may be something.
        if page.end > place {
            self.pages.insert(place, Arc::clone(&page)).await;
        }
        Ok(page)
    }
}
