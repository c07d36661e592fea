use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
    VenueCursor, VenueFilter,
};
use encore_domain::catalog::performance_change::ChangeCursor;
use encore_domain::catalog::{Concert, OnSale, Performance, Venue};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::{Event, QueueOpening, StaffCause};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::Catalog;
use encore_domain::queue::{NoQueue, PatchRefusal, Queue, QueuePatch, QueueSettings};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::paging::{above, rows};
use crate::records::{CatalogRecords, MemoryRecords, Milestone, Records};

/// [`Catalog`] in process.
pub struct MemoryCatalog(MemoryRecords);

impl MemoryCatalog {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn add_venue(&self, venue: Venue, act: Option<StaffAct>) -> Result<Applied<Venue>, RequestError<Infallible>> {
        let request = act.as_ref().and_then(|act| act.request);
        let added = Arc::new(venue.clone());
        let before: Option<Arc<Venue>> = {
            let Records { catalog, requests, audit_log, .. } = &mut *self.0.lock();
            let before = requests.before(request)?;
            if before.is_none() {
                catalog.venues.insert(added.id, Arc::clone(&added));
                audit_log.note(act.map(|act| act.added_venue(&added)));
                requests.remember(request, added);
            }
            before
        };
        Ok(before.map_or(Applied::Now(venue), |before| Applied::Before(Venue::clone(&before))))
    }

    async fn add_concert(
        &self,
        concert: Concert,
        act: Option<StaffAct>,
    ) -> Result<Applied<Concert>, RequestError<Infallible>> {
        let request = act.as_ref().and_then(|act| act.request);
        let Records { catalog, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        catalog.add_concert(concert.clone());
        audit_log.note(act.map(|act| act.added_concert(&concert)));
        requests.remember(request, concert.clone());
        Ok(Applied::Now(concert))
    }

    async fn add_performance(
        &self,
        performance: Performance,
        queue: Option<Queue>,
        act: Option<StaffAct>,
    ) -> Result<Applied<Performance>, RequestError<Infallible>> {
        let request = act.as_ref().and_then(|act| act.request);
        let Records { catalog, requests, audit_log, outbox, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        if let Some(act) = act {
            audit_log.note(Some(act.added_performance(&performance, queue.as_ref())));
            outbox.write(&Event::published(&performance, queue.as_ref(), &act));
        }
        catalog.add_performance(performance.clone(), queue);
        requests.remember(request, performance.clone());
        Ok(Applied::Now(performance))
    }

    async fn patch_queue(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        act: Option<StaffAct>,
    ) -> Result<Applied<QueueSettings>, RequestError<PatchRefusal>> {
        let request = act.as_ref().and_then(|act| act.request);
        let Records { catalog, requests, audit_log, outbox, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let queue =
            catalog.queues.get_mut(&performance).ok_or(RequestError::Refused(PatchRefusal::NoQueue(NoQueue)))?;
        let patched = queue.settings.clone().patched(&patch).map_err(RequestError::Refused)?;
        if let Some(act) = act {
            audit_log.note(Some(act.changed_queue(performance, &queue.settings, &patched)));
            for event in Event::queue_changes(performance, &queue.settings, &patched, &act) {
                outbox.write(&event);
            }
        }
        queue.settings = patched;
        requests.remember(request, queue.settings.clone());
        Ok(Applied::Now(queue.settings.clone()))
    }

    async fn note_opening(&self, opening: QueueOpening) -> Result<bool, Unavailable> {
        let Records { catalog, outbox, .. } = &mut *self.0.lock();
        let is_new = catalog.reach(opening.performance, Milestone::QueueOpened, opening.at);
        if is_new {
            outbox.write(&Event::QueueOpened(opening));
        }
        Ok(is_new)
    }

    async fn note_cancellation(
        &self,
        performance: PerformanceId,
        reason: OperatorReason,
        act: StaffAct,
    ) -> Result<bool, Unavailable> {
        let Records { catalog, outbox, audit_log, .. } = &mut *self.0.lock();
        let is_new = catalog.reach(performance, Milestone::Cancelled, act.at);
        if is_new {
            audit_log.note(Some(act.cancelled_performance(performance)));
            outbox.write(&Event::PerformanceCancelled { performance, reason, cause: StaffCause::from(&act) });
        }
        Ok(is_new)
    }

    async fn find_added_venue(&self, request: RequestKey) -> Result<Option<Venue>, RequestError<Infallible>> {
        let added: Option<Arc<Venue>> = self.0.lock().requests.before(Some(request))?;
        Ok(added.map(|venue| Venue::clone(&venue)))
    }

    async fn find_added_performance(
        &self,
        request: RequestKey,
    ) -> Result<Option<Performance>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn find_patched(&self, request: RequestKey) -> Result<Option<QueueSettings>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn venue(&self, id: VenueId) -> Result<Option<Venue>, Unavailable> {
        let venue = self.0.lock().catalog.venues.get(&id).cloned();
        Ok(venue.map(|venue| Venue::clone(&venue)))
    }

    async fn listed_venue(&self, id: VenueId) -> Result<Option<ListedVenue>, Unavailable> {
        let venue = self.0.lock().catalog.venues.get(&id).cloned();
        Ok(venue.map(|venue| ListedVenue { id, name: venue.name.clone(), location: venue.location.clone() }))
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, Unavailable> {
        Ok(self.0.lock().catalog.concerts.get(&id).cloned())
    }

    async fn concerts_by_id(&self, ids: &[ConcertId]) -> Result<Vec<Concert>, Unavailable> {
        let concerts = &self.0.lock().catalog.concerts;
        Ok(ids.iter().filter_map(|id| concerts.get(id).cloned()).collect())
    }

    async fn concerts(
        &self,
        filter: &ConcertFilter,
        order: ConcertOrder,
        page: PageRequest<ConcertCursor>,
    ) -> Result<Page<Concert, ConcertCursor>, Unavailable> {
        Ok(self.0.lock().catalog.list_concerts(filter, order, &page))
    }

    async fn venues(
        &self,
        filter: &VenueFilter,
        page: PageRequest<VenueCursor>,
    ) -> Result<Page<ListedVenue, VenueCursor>, Unavailable> {
        Ok(self.0.lock().catalog.list_venues(filter, &page))
    }

    async fn performance(&self, id: PerformanceId) -> Result<Option<Performance>, Unavailable> {
        Ok(self.0.lock().catalog.performances.get(&id).cloned())
    }

    async fn performances_by_id(&self, ids: &[PerformanceId]) -> Result<Vec<Performance>, Unavailable> {
        let performances = &self.0.lock().catalog.performances;
        Ok(ids.iter().filter_map(|id| performances.get(id).cloned()).collect())
    }

    async fn changed_performances(
        &self,
        since: Timestamp,
        page: PageRequest<ChangeCursor>,
    ) -> Result<Page<Performance, ChangeCursor>, Unavailable> {
        let CatalogRecords { performances, by_change, .. } = &self.0.lock().catalog;
        let changed = by_change.range(above(&page)).filter(|(at, _)| *at >= since);
        let changed = changed.filter_map(|(at, id)| Some((performances.get(id)?.clone(), *at)));
        let page =
            Page::from_rows(changed.take(rows(&page)).collect(), page.size, |(performance, at)| (*at, performance.id));
        Ok(page.map(|(performance, _)| performance))
    }

    async fn performances(
        &self,
        filter: &PerformanceFilter,
        order: PerformanceOrder,
        page: PageRequest<PerformanceCursor>,
    ) -> Result<Page<Performance, PerformanceCursor>, Unavailable> {
        Ok(self.0.lock().catalog.list_performances(filter, order, &page))
    }

    async fn queue(&self, performance: PerformanceId) -> Result<Option<Queue>, Unavailable> {
        Ok(self.0.lock().catalog.queues.get(&performance).cloned())
    }

    async fn on_sale(&self, now: Timestamp) -> Result<Vec<OnSale>, Unavailable> {
        let catalog = &self.0.lock().catalog;
        let closed = Bound::Excluded((now, PerformanceId(Uuid::max())));
        let not_closed = catalog.by_end_of_sale.range((closed, Bound::Unbounded));
        let open = not_closed.filter_map(|(_, id)| {
            let performance = catalog.performances.get(id)?;
            if performance.amended.withdrawn_at.is_some() {
                return None;
            }
            let opens_at = performance.on_sale.opens_at;
            let queue = catalog.queues.get(id);
            let open_from =
                queue.and_then(|queue| queue.draw).map_or(opens_at, |draw| draw.pre_queue_opens_at.min(opens_at));
            (open_from <= now).then(|| OnSale { performance: *id, opens_at, queue: queue.cloned() })
        });
        Ok(open.collect())
    }
}
