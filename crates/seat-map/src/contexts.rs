//! A cache of performances, concerts and venues, which every hold needs. Concerts and venues do not change once they exist. Performances
//! hardly ever do: what was changed is read again and again, and replaces the copies.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatStatus, unsold};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Concert, Performance, Venue};
use encore_domain::error::Unavailable;
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Catalog;
use encore_domain::time::Timestamp;
use moka::future::Cache;
use thiserror::Error;

use crate::mutex::lock;

/// How many performances are cached. Each takes less than a kilobyte.
const PERFORMANCES_KEPT: u64 = 10_000;
/// How far back a refresh looks, before the last one that succeeded. A read of a performance that began before a change and was kept after
/// it is put right by the refreshes of this time. It is longer than any query may take, and than clocks may differ.
const LOOK_BACK: Duration = Duration::from_mins(1);
/// How many changed performances are read at once.
const CHANGED_PAGE: u32 = 1_000;
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
    /// When the last refresh that succeeded began.
    refreshed_at: Arc<Mutex<Option<Timestamp>>>,
}

impl PerformanceContexts {
    /// How often an instance reads what was changed. It follows within a second.
    pub const REFRESH_EVERY: Duration = Duration::from_millis(500);

    /// An empty cache.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self {
            catalog,
            performances: Cache::new(PERFORMANCES_KEPT),
            concerts: Cache::new(CONCERTS_KEPT),
            venues: Cache::new(VENUES_KEPT),
            refreshed_at: Arc::default(),
        }
    }

    /// Reads the performances that were changed lately, and replaces their copies. While the catalogue is unavailable, the copies stay as
    /// they are.
    pub async fn refresh(&self, now: Timestamp) -> Result<(), Unavailable> {
        let since = *lock(&self.refreshed_at).get_or_insert(now) - LOOK_BACK;
        let mut page = PageRequest::first(CHANGED_PAGE);
        loop {
            let Page { items, next } = self.catalog.changed_performances(since, page).await?;
            for performance in items {
                self.replace(performance).await;
            }
            let Some(next) = next else { break };
            page.after = Some(next);
        }
        *lock(&self.refreshed_at) = Some(now);
        Ok(())
    }

    /// Takes a performance that was read or changed just now, unless a later change of it is known.
    pub async fn replace(&self, performance: Performance) -> Arc<Performance> {
        let known = self.performances.get(&performance.id).await;
        if let Some(known) = known.filter(|known| known.amended.revision >= performance.amended.revision) {
            return known;
        }
        let performance = Arc::new(performance);
        self.performances.insert(performance.id, Arc::clone(&performance)).await;
        performance
    }

    /// A performance as it is in the catalogue now, with its concert and venue. For what must not be decided on a copy.
    pub async fn fresh_context(&self, id: PerformanceId) -> Result<PerformanceContext, ContextError> {
        let found = self.catalog.performance(id).await?;
        let performance = self.replace(found.ok_or_else(|| ContextError::not_found("performance", id))?).await;
        self.context_of(performance).await
    }

    /// A performance with its concert and venue.
    pub async fn context(&self, id: PerformanceId) -> Result<PerformanceContext, ContextError> {
        self.context_of(self.performance(id).await?).await
    }

    async fn context_of(&self, performance: Arc<Performance>) -> Result<PerformanceContext, ContextError> {
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
            self.replace(performance).await;
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
