use std::sync::Arc;

use encore_domain::catalog::Venue;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, VenueId};
use encore_domain::ports::Catalog;
use moka::future::Cache;

/// How many performances are cached: their ids, and those of their venues.
const PERFORMANCES_KEPT: u64 = 10_000;
/// How many venues are cached. One of 60,000 seats takes about 12 MB.
const VENUES_KEPT: u64 = 16;

/// A cache of the venues of performances. Neither changes once it exists.
pub struct Charts {
    catalog: Arc<dyn Catalog>,
    performances: Cache<PerformanceId, VenueId>,
    venues: Cache<VenueId, Arc<Venue>>,
}

impl Charts {
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog, performances: Cache::new(PERFORMANCES_KEPT), venues: Cache::new(VENUES_KEPT) }
    }

    /// The venue of a performance, with its chart. None if the catalogue does not have it.
    pub async fn venue_of(&self, performance: PerformanceId) -> Result<Option<Arc<Venue>>, Unavailable> {
        let id = if let Some(id) = self.performances.get(&performance).await {
            id
        } else {
            let Some(found) = self.catalog.performance(performance).await? else { return Ok(None) };
            self.performances.insert(performance, found.venue).await;
            found.venue
        };
        if let Some(venue) = self.venues.get(&id).await {
            return Ok(Some(venue));
        }
        let Some(venue) = self.catalog.venue(id).await?.map(Arc::new) else { return Ok(None) };
        self.venues.insert(id, Arc::clone(&venue)).await;
        Ok(Some(venue))
    }
}
