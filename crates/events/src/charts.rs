use std::sync::Arc;

use encore_domain::catalog::Venue;
use encore_domain::catalog::seat_chart::SeatChart;
use encore_domain::error::Unavailable;
use encore_domain::event::message::EventMessage;
use encore_domain::event::seat_feed::is_about_seats;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::ids::{PerformanceId, VenueId};
use encore_domain::ports::Catalog;
use encore_event_format::{CannotEncode, encode, encode_seat_changes};
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

    /// The message of a record, or why it has none.
    pub async fn encode(&self, record: &OutboxRecord) -> Result<Result<EventMessage, String>, Unavailable> {
        self.encode_with(record, encode).await
    }

    /// The messages of the seats that a record changes, or why it has none.
    pub async fn encode_seats(&self, record: &OutboxRecord) -> Result<Result<Vec<EventMessage>, String>, Unavailable> {
        if !is_about_seats(&record.kind) {
            return Ok(Ok(Vec::new()));
        }
        self.encode_with(record, |event, chart| encode_seat_changes(event, record.place, chart)).await
    }

    async fn encode_with<M>(
        &self,
        record: &OutboxRecord,
        encode: impl FnOnce(&Event, Option<&SeatChart>) -> Result<M, CannotEncode>,
    ) -> Result<Result<M, String>, Unavailable> {
        let event = match &record.event {
            Ok(event) => event,
            Err(unreadable) => return Ok(Err(unreadable.to_string())),
        };
        let venue = match event.performance() {
            Some(performance) => match self.venue_of(performance).await {
                Ok(venue) => venue,
                // A row of the catalogue that cannot be read concerns its performance alone.
                Err(defect) if defect.is_defect => return Ok(Err(defect.to_string())),
                Err(unavailable) => return Err(unavailable),
            },
            None => None,
        };
        Ok(encode(event, venue.as_ref().map(|venue| &venue.chart)).map_err(|error| error.to_string()))
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
