//! A cache of performances, concerts and venues. They do not change once they exist, and every hold needs them.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatStatus, unsold};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Concert, Performance, Venue};
use encore_domain::error::Unavailable;
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::ports::Catalog;
use moka::future::Cache;
use thiserror::Error;

/// How many performances are cached. Each takes less than a kilobyte.
const PERFORMANCES_KEPT: u64 = 10_000;
/// How many concerts are cached. Each takes less than a kilobyte.
const CONCERTS_KEPT: u64 = 10_000;
/// How many venues are cached. One of 60,000 seats takes about 12 MB.
const VENUES_KEPT: u64 = 64;

/// A performance with its concert and its venue.
#[derive(Clone, Debug)]
pub struct PerformanceContext {
    /// The performance.
    pub performance: Arc<Performance>,
    /// Its concert.
    pub concert: Arc<Concert>,
    /// Its venue with the seat chart.
    pub venue: Arc<Venue>,
}

impl PerformanceContext {
    /// The state of the performance of which nothing is sold.
    pub fn unsold(&self) -> Vec<Option<SeatStatus>> {
        unsold(&self.venue.chart, &self.performance.prices)
    }

    /// The ids of seats and units, as fans see them.
    pub fn seat_ids(&self, slots: &[Slot]) -> Vec<String> {
        slots.iter().filter_map(|slot| self.venue.chart.id_at(*slot)).collect()
    }
}

/// Why a context was not found.
#[derive(Debug, Error)]
pub enum ContextError {
    /// There is no such resource.
    #[error("there is no such {kind}: {id}")]
    NotFound {
        /// `performance`, `concert` or `venue`.
        kind: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The catalogue is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl ContextError {
    fn not_found(kind: &'static str, id: impl Display) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }
}

/// A read-through cache of the catalogue. It does not cache absence, so that a new resource is found at once.
#[derive(Clone)]
pub struct PerformanceContexts {
    catalog: Arc<dyn Catalog>,
    performances: Cache<PerformanceId, Arc<Performance>>,
    concerts: Cache<ConcertId, Arc<Concert>>,
    venues: Cache<VenueId, Arc<Venue>>,
}

impl PerformanceContexts {
    /// An empty cache.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self {
            catalog,
            performances: Cache::new(PERFORMANCES_KEPT),
            concerts: Cache::new(CONCERTS_KEPT),
            venues: Cache::new(VENUES_KEPT),
        }
    }

    /// A performance with its concert and venue.
    pub async fn context(&self, id: PerformanceId) -> Result<PerformanceContext, ContextError> {
        let performance = self.performance(id).await?;
        let concert = self.concert(performance.concert).await?;
        let venue = self.venue(performance.venue).await?;
        Ok(PerformanceContext { performance, concert, venue })
    }

    /// Many performances at once. What is not cached costs one query for the performances, one for the concerts, and one for
    /// each venue.
    pub async fn contexts(
        &self,
        ids: impl IntoIterator<Item = PerformanceId>,
    ) -> Result<HashMap<PerformanceId, PerformanceContext>, ContextError> {
        let mut ids: Vec<PerformanceId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let missing: Vec<_> = ids.iter().copied().filter(|id| !self.performances.contains_key(id)).collect();
        if !missing.is_empty() {
            self.keep(self.catalog.performances_by_id(&missing).await?).await?;
        }
        let mut contexts = HashMap::with_capacity(ids.len());
        for id in ids {
            contexts.insert(id, self.context(id).await?);
        }
        Ok(contexts)
    }

    async fn keep(&self, performances: Vec<Performance>) -> Result<(), Unavailable> {
        let mut concerts: Vec<ConcertId> = performances.iter().map(|performance| performance.concert).collect();
        concerts.sort_unstable();
        concerts.dedup();
        concerts.retain(|id| !self.concerts.contains_key(id));
        for performance in performances {
            self.performances.insert(performance.id, Arc::new(performance)).await;
        }
        if !concerts.is_empty() {
            for concert in self.catalog.concerts_by_id(&concerts).await? {
                self.concerts.insert(concert.id, Arc::new(concert)).await;
            }
        }
        Ok(())
    }

    /// A performance.
    pub async fn performance(&self, id: PerformanceId) -> Result<Arc<Performance>, ContextError> {
        let found = read_through(&self.performances, id, self.catalog.performance(id)).await?;
        found.ok_or_else(|| ContextError::not_found("performance", id))
    }

    /// A concert.
    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Concert>, ContextError> {
        let found = read_through(&self.concerts, id, self.catalog.concert(id)).await?;
        found.ok_or_else(|| ContextError::not_found("concert", id))
    }

    /// A venue.
    pub async fn venue(&self, id: VenueId) -> Result<Arc<Venue>, ContextError> {
        let found = read_through(&self.venues, id, self.catalog.venue(id)).await?;
        found.ok_or_else(|| ContextError::not_found("venue", id))
    }
}

/// Reads the cache, and then the store. Concurrent callers of one key share one query.
async fn read_through<K, V>(
    cache: &Cache<K, Arc<V>>,
    key: K,
    query: impl Future<Output = Result<Option<V>, Unavailable>>,
) -> Result<Option<Arc<V>>, Unavailable>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let fill = async { query.await.map_err(Miss::Unavailable)?.map(Arc::new).ok_or(Miss::Absent) };
    match cache.try_get_with(key, fill).await {
        Ok(value) => Ok(Some(value)),
        Err(miss) => match miss.as_ref() {
            Miss::Absent => Ok(None),
            Miss::Unavailable(unavailable) => Err(Unavailable::new(unavailable.what, unavailable.to_string())),
        },
    }
}

enum Miss {
    Absent,
    Unavailable(Unavailable),
}
