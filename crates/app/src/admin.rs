//! Administration of the catalogue: venues, concerts and performances.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::{StaffAct, StaffCall};
use encore_domain::catalog::location::Location;
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::seat_chart::{Grade, SeatChart};
use encore_domain::catalog::venue_revision::VenueRevision;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, Title, Venue};
use encore_domain::ids::{AuditEntryId, ConcertId, PerformanceId, VenueId};
use encore_domain::money::Money;
use encore_domain::ports::{Catalog, Clock, Ids};
use encore_domain::queue::ceilings::QueueCeilings;
use encore_domain::queue::{Queue, QueueDraw, QueueSettings};
use encore_domain::time::Timestamp;
use encore_seating_plan::{PlanWarning, SeatingPlan};

use crate::catalog::PerformanceSummary;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::{AppError, Violation};
use crate::queue_ceilings::RequestedThroughput;
use crate::repeats::or_first_result_of;

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
    /// The prices of the grades that are for sale, by name.
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

/// A venue that was imported.
#[derive(Clone, Debug)]
pub struct ImportedVenue {
    /// The venue.
    pub venue: Venue,
    /// What was imported otherwise than the author of the plan may expect.
    pub warnings: Vec<PlanWarning>,
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
    pub async fn import_venue(
        &self,
        plan_json: String,
        location: Option<Location>,
        call: Option<StaffCall>,
    ) -> Result<ImportedVenue, AppError> {
        let (added, warnings) = match read_plan(plan_json).await {
            Ok(plan) => (self.add_venue(plan.name, location, plan.chart, call).await, plan.warnings),
            Err(refused) => (Err(refused), Vec::new()),
        };
        let venue = self.or_venue_added_before(added, call).await?;
        Ok(ImportedVenue { venue, warnings })
    }

    /// Stores a venue that is another with some changes. The other stays as it is.
    pub async fn revise_venue(
        &self,
        id: VenueId,
        revision: VenueRevision,
        call: Option<StaffCall>,
    ) -> Result<Venue, AppError> {
        let revised = self.revise_and_add_venue(id, revision, call).await;
        self.or_venue_added_before(revised, call).await
    }

    async fn revise_and_add_venue(
        &self,
        id: VenueId,
        revision: VenueRevision,
        call: Option<StaffCall>,
    ) -> Result<Venue, AppError> {
        let before = self.contexts.venue(id).await?;
        let chart = revision.apply(&before.chart).map_err(|violations| {
            AppError::Invalid(violations.into_iter().map(|it| Violation::new(it.field, it.rule)).collect())
        })?;
        let location = revision.location.or_else(|| before.location.clone());
        self.add_venue(before.name.clone(), location, chart, call).await
    }

    async fn add_venue(
        &self,
        name: Title,
        location: Option<Location>,
        chart: SeatChart,
        call: Option<StaffCall>,
    ) -> Result<Venue, AppError> {
        let venue = Venue { id: VenueId(self.ids.next()), name, location, chart, created_at: self.clock.now() };
        Ok(self.catalog.add_venue(venue, call.map(|call| self.act(call))).await?.into_inner())
    }

    async fn or_venue_added_before(
        &self,
        outcome: Result<Venue, AppError>,
        call: Option<StaffCall>,
    ) -> Result<Venue, AppError> {
        let request = call.and_then(|call| call.request);
        or_first_result_of(request, outcome, |request| self.catalog.find_added_venue(request)).await
    }

    /// Creates a concert.
    pub async fn create_concert(&self, title: Title, artist: Title, call: StaffCall) -> Result<Concert, AppError> {
        let id = ConcertId(self.ids.next());
        let concert = Concert { id, title, artist, created_at: self.clock.now() };
        Ok(self.catalog.add_concert(concert, Some(self.act(call))).await?.into_inner())
    }

    /// Creates a performance of a concert at a venue. A queue that exceeds a ceiling is refused unless it overrides the
    /// ceilings.
    pub async fn create_performance(
        &self,
        new: NewPerformance,
        call: StaffCall,
    ) -> Result<PerformanceSummary, AppError> {
        let added = self.add_performance(new, call).await;
        let find = |request| self.catalog.find_added_performance(request);
        let performance = or_first_result_of(call.request, added, find).await?;
        let concert = self.contexts.concert(performance.concert).await?;
        let venue = self.contexts.venue(performance.venue).await?;
        let context = PerformanceContext { performance: Arc::new(performance), concert, venue };
        Ok(PerformanceSummary::unsold(context))
    }

    async fn add_performance(&self, new: NewPerformance, call: StaffCall) -> Result<Performance, AppError> {
        let (performance, queue) = self.checked(PerformanceId(self.ids.next()), new).await?;
        let queue = queue.map(|NewQueue { settings, pre_queue_opens_at, .. }| {
            let draw =
                pre_queue_opens_at.map(|pre_queue_opens_at| QueueDraw { pre_queue_opens_at, key: self.ids.draw_key() });
            Queue { settings, draw }
        });
        Ok(self.catalog.add_performance(performance, queue, Some(self.act(call))).await?.into_inner())
    }

    /// Checks that the parts of a new performance are consistent.
    pub(crate) async fn checked(
        &self,
        id: PerformanceId,
        new: NewPerformance,
    ) -> Result<(Performance, Option<NewQueue>), AppError> {
        let concert = self.contexts.concert(new.concert).await?;
        let venue = self.contexts.venue(new.venue).await?;
        let prices = price_list(venue.chart.grades(), &new.prices).map_err(AppError::Invalid)?;
        new.queue.as_ref().map_or(Ok(()), |queue| queue.requested_throughput().check(self.ceilings))?;
        let NewPerformance { starts_at, on_sale, seats_per_fan, hold_for, queue, .. } = new;
        let performance = Performance {
            id,
            concert: concert.id,
            venue: venue.id,
            starts_at,
            on_sale,
            prices,
            seats_per_fan,
            hold_for,
            has_queue: queue.is_some(),
            amended: Amendments::default(),
        };
        Ok((performance, queue))
    }

    fn act(&self, call: StaffCall) -> StaffAct {
        call.act(AuditEntryId(self.ids.next()), self.clock.now(), None)
    }
}

async fn read_plan(plan_json: String) -> Result<SeatingPlan, AppError> {
    // Reading a large plan takes a considerable part of a second of CPU time.
    let reading = tokio::task::spawn_blocking(move || encore_seating_plan::read(&plan_json));
    let plan = reading.await.map_err(|failed| AppError::Internal(failed.to_string()))?;
    plan.map_err(|violations| {
        let named = violations.into_iter().map(|it| Violation::new(format!("plan_json{}", it.path), it.rule));
        AppError::Invalid(named.collect())
    })
}

/// Assigns the named prices to the grades of a venue, all in one currency. The seats of a grade without a price are not for
/// sale.
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
    if prices.is_empty() {
        violations.push(Violation::new("prices", "must have the price of at least one grade"));
    }
    let price_of = |grade: &Grade| prices.iter().find(|(name, _)| *name == grade.name).map(|(_, price)| price.minor);
    match prices.first() {
        Some((_, first)) if violations.is_empty() => {
            Ok(PriceList { currency: first.currency, minor_by_grade: grades.iter().map(price_of).collect() })
        }
        _ => Err(violations),
    }
}
