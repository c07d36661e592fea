//! Administration of the catalogue: venues, concerts and performances.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::catalog::seat_chart::Grade;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, Title, Venue};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::money::Money;
use encore_domain::ports::{Catalog, Clock, Ids};
use encore_domain::queue::ceilings::QueueCeilings;
use encore_domain::queue::{Queue, QueueDraw, QueueSettings};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use crate::catalog::PerformanceSummary;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::{AppError, Violation};
use crate::queue_ceilings::RequestedThroughput;

/// A performance to create. Each field is within its bounds; the use case checks that they are consistent.
#[derive(Clone, Debug)]
pub struct NewPerformance {
    /// The concert that is played.
    pub concert: ConcertId,
    /// The venue where it is played.
    pub venue: VenueId,
    /// When the show begins.
    pub starts_at: Timestamp,
    /// The period in which seats can be held.
    pub on_sale: OnSaleWindow,
    /// A price for every grade of the venue, by name.
    pub prices: Vec<(String, Money)>,
    /// The most seats that one fan may own.
    pub seats_per_fan: u32,
    /// The duration of a hold.
    pub hold_for: Duration,
    /// The queue of the sale, if any.
    pub queue: Option<NewQueue>,
}

/// A queue to create.
#[derive(Clone, Debug)]
pub struct NewQueue {
    /// How it admits fans.
    pub settings: QueueSettings,
    /// When the pre-queue opens; none if the queue has no pre-queue.
    pub pre_queue_opens_at: Option<Timestamp>,
    /// Whether its rate and `max_active` may exceed their ceilings.
    pub override_ceiling: bool,
}

impl NewQueue {
    fn requested_throughput(&self) -> RequestedThroughput {
        let QueueSettings { rate, max_active, .. } = self.settings;
        // A default maximum follows from the rate, which has a ceiling of its own.
        let is_chosen = !self.settings.has_default_max_active();
        RequestedThroughput {
            settings: "queue",
            rate: Some(rate),
            max_active: is_chosen.then_some(max_active),
            override_ceiling: self.override_ceiling,
        }
    }
}

/// The use cases of `AdminService`.
#[derive(Clone)]
pub struct AdminUseCases {
    catalog: Arc<dyn Catalog>,
    contexts: PerformanceContexts,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    ceilings: QueueCeilings,
}

impl AdminUseCases {
    /// The use cases over their ports, without ceilings.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        contexts: PerformanceContexts,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { catalog, contexts, clock, ids, ceilings: QueueCeilings::default() }
    }

    /// The same use cases with these ceilings.
    pub fn under(self, ceilings: QueueCeilings) -> Self {
        Self { ceilings, ..self }
    }

    /// Reads a seating plan and stores it as a venue. A plan with a violation is refused as a whole.
    pub async fn import_venue(&self, plan_json: String, request: Option<RequestKey>) -> Result<Venue, AppError> {
        // Reading a large plan takes a considerable part of a second of CPU time.
        let reading = tokio::task::spawn_blocking(move || encore_seating_plan::read(&plan_json));
        let plan = reading.await.map_err(|failed| AppError::Internal(failed.to_string()))?;
        let plan = plan.map_err(|violations| {
            let named = violations.into_iter().map(|it| Violation::new(format!("plan_json{}", it.path), it.rule));
            AppError::Invalid(named.collect())
        })?;
        let id = VenueId(self.ids.next());
        let venue = Venue { id, name: plan.name, chart: plan.chart, created_at: self.clock.now() };
        Ok(self.catalog.add_venue(venue, request).await?.into_inner())
    }

    /// Creates a concert.
    pub async fn create_concert(
        &self,
        title: Title,
        artist: Title,
        request: Option<RequestKey>,
    ) -> Result<Concert, AppError> {
        let id = ConcertId(self.ids.next());
        let concert = Concert { id, title, artist, created_at: self.clock.now() };
        Ok(self.catalog.add_concert(concert, request).await?.into_inner())
    }

    /// Creates a performance of a concert at a venue. A queue that exceeds a ceiling is refused unless it overrides the
    /// ceilings.
    pub async fn create_performance(
        &self,
        new: NewPerformance,
        request: Option<RequestKey>,
    ) -> Result<PerformanceSummary, AppError> {
        let concert = self.contexts.concert(new.concert).await?;
        let venue = self.contexts.venue(new.venue).await?;
        let prices = price_list(venue.chart.grades(), &new.prices).map_err(AppError::Invalid)?;
        new.queue.as_ref().map_or(Ok(()), |queue| queue.requested_throughput().check(self.ceilings))?;
        let NewPerformance { starts_at, on_sale, seats_per_fan, hold_for, queue, .. } = new;
        let performance = Performance {
            id: PerformanceId(self.ids.next()),
            concert: concert.id,
            venue: venue.id,
            starts_at,
            on_sale,
            prices,
            seats_per_fan,
            hold_for,
            has_queue: queue.is_some(),
        };
        let queue = queue.map(|NewQueue { settings, pre_queue_opens_at, .. }| {
            let draw =
                pre_queue_opens_at.map(|pre_queue_opens_at| QueueDraw { pre_queue_opens_at, key: self.ids.draw_key() });
            Queue { settings, draw }
        });
        let performance = self.catalog.add_performance(performance, queue, request).await?.into_inner();
        let seats_left = venue.chart.capacity();
        Ok(PerformanceSummary {
            context: PerformanceContext { performance: Arc::new(performance), concert, venue },
            seats_left,
        })
    }
}

/// Assigns the named prices to the grades of a venue. Every grade needs exactly one price, all in one currency.
fn price_list(grades: &[Grade], prices: &[(String, Money)]) -> Result<PriceList, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut seen = HashSet::new();
    for (index, (name, price)) in prices.iter().enumerate() {
        if !grades.iter().any(|grade| grade.name == *name) {
            violations.push(Violation::new(format!("prices[{index}].grade"), "must be a grade of the venue"));
        }
        if !seen.insert(name) {
            violations.push(Violation::new(format!("prices[{index}].grade"), "must not be priced twice"));
        }
        if price.currency != prices[0].1.currency {
            let rule = "must be in the same currency as the first price";
            violations.push(Violation::new(format!("prices[{index}].price.currency_code"), rule));
        }
    }
    let mut minor_by_grade = Vec::with_capacity(grades.len());
    for grade in grades {
        match prices.iter().find(|(name, _)| *name == grade.name) {
            Some((_, price)) => minor_by_grade.push(price.minor),
            None => violations.push(Violation::new("prices", format!("must have a price for grade {:?}", grade.name))),
        }
    }
    match prices.first() {
        Some((_, first)) if violations.is_empty() => Ok(PriceList { currency: first.currency, minor_by_grade }),
        _ => Err(violations),
    }
}
