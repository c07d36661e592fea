//! Performances with their concerts and venues, kept close: they do not change once they are there, and every hold
//! needs them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use encore_domain::catalog::{Concert, Performance, Venue};
use encore_domain::error::Unavailable;
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::ports::Catalog;
use moka::future::Cache;

use crate::error::AppError;

/// How many performances are kept; each takes less than a kilobyte.
const PERFORMANCES_KEPT: u64 = 10_000;
/// How many concerts are kept; each takes less than a kilobyte.
const CONCERTS_KEPT: u64 = 10_000;
/// How many venues are kept; one of 60,000 seats takes about 12 MB.
const VENUES_KEPT: u64 = 64;

/// A performance with what is played and where.
#[derive(Clone, Debug)]
pub struct PerformanceContext {
    /// What is sold.
    pub performance: Arc<Performance>,
    /// What is played.
    pub concert: Arc<Concert>,
    /// Where, with its seat chart.
    pub venue: Arc<Venue>,
}

/// A read-through cache of what never changes. Absence is not kept, so what is created is found at once.
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
    pub async fn context(&self, id: PerformanceId) -> Result<PerformanceContext, AppError> {
        let performance = self.performance(id).await?;
        let concert = self.concert(performance.concert).await?;
        let venue = self.venue(performance.venue).await?;
        Ok(PerformanceContext { performance, concert, venue })
    }

    /// Many performances at once. What is not in the cache costs one query for the performances, one for the concerts, and
    /// one for each venue not seen before.
    pub async fn contexts(
        &self,
        ids: impl IntoIterator<Item = PerformanceId>,
    ) -> Result<HashMap<PerformanceId, PerformanceContext>, AppError> {
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

    async fn keep(&self, performances: Vec<Performance>) -> Result<(), AppError> {
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
    pub async fn performance(&self, id: PerformanceId) -> Result<Arc<Performance>, AppError> {
        let found = read_through(&self.performances, id, self.catalog.performance(id)).await?;
        found.ok_or_else(|| AppError::not_found("performance", id))
    }

    /// A concert.
    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Concert>, AppError> {
        let found = read_through(&self.concerts, id, self.catalog.concert(id)).await?;
        found.ok_or_else(|| AppError::not_found("concert", id))
    }

    /// A venue.
    pub async fn venue(&self, id: VenueId) -> Result<Arc<Venue>, AppError> {
        let found = read_through(&self.venues, id, self.catalog.venue(id)).await?;
        found.ok_or_else(|| AppError::not_found("venue", id))
    }
}

/// Asks the cache, then the store; callers of the same key at the same time share one question to the store.
async fn read_through<K, V>(
    cache: &Cache<K, Arc<V>>,
    key: K,
    question: impl Future<Output = Result<Option<V>, Unavailable>>,
) -> Result<Option<Arc<V>>, Unavailable>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let fill = async { question.await.map_err(Miss::Away)?.map(Arc::new).ok_or(Miss::Absent) };
    match cache.try_get_with(key, fill).await {
        Ok(value) => Ok(Some(value)),
        Err(miss) => match miss.as_ref() {
            Miss::Absent => Ok(None),
            Miss::Away(unavailable) => Err(Unavailable::new(unavailable.what, unavailable.to_string())),
        },
    }
}

enum Miss {
    Absent,
    Away(Unavailable),
}
