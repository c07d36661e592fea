//! Concerts, performances and the state of their seats.

mod chart_version;

use std::collections::HashSet;
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatState, SeatStatus};
use encore_domain::catalog::area::Area;
use encore_domain::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
    VenueCursor, VenueFilter,
};
use encore_domain::catalog::seat_chart::{Seat, Slot};
use encore_domain::catalog::{Concert, Performance};
use encore_domain::identity::Caller;
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Catalog;
pub use encore_seat_map::{AreaLeft, Changes, ObservedSeats, SeatFrame, SeatRange};
use encore_seat_map::{SeatMap, SeatWatch};
use futures::{Stream, TryStreamExt};
use moka::future::Cache;

use self::chart_version::chart_version;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};

/// The number of cached chart versions. Each takes less than a kilobyte.
const CHART_VERSIONS_KEPT: u64 = 10_000;

/// A performance with the number of its free seats.
#[derive(Clone, Debug)]
pub struct PerformanceSummary {
    /// The performance with its concert and venue.
    pub context: PerformanceContext,
    /// Seats that are neither held nor sold.
    pub seats_left: u32,
}

impl PerformanceSummary {
    /// A performance of which nothing is held or sold.
    pub(crate) fn unsold(context: PerformanceContext) -> Self {
        let seats_left = SeatState { statuses: context.unsold(), version: 0 }.stock().free;
        Self { context, seats_left }
    }
}

/// A query for the seats of a performance.
#[derive(Clone, Debug)]
pub struct SeatQuery {
    /// The performance.
    pub performance: PerformanceId,
    /// Only these sections, by name; empty for all.
    pub sections: HashSet<String>,
    /// Only free seats.
    pub free_only: bool,
    /// The page, in the order of the slots.
    pub page: PageRequest<Slot>,
}

/// A page of seats with their state at one version.
#[derive(Clone, Debug)]
pub struct SeatListing {
    /// The performance with its concert and venue, whose chart the seats belong to.
    pub context: PerformanceContext,
    /// See [`SeatState::version`].
    pub version: u64,
    /// The seats in the order of their slots.
    pub seats: Vec<(Seat, SeatStatus)>,
    /// The general admission areas with the number of their free units, in the order of the plan.
    pub areas: Vec<(Area, u32)>,
    /// The cursor of the next page.
    pub next: Option<Slot>,
}

/// A performance with the version of its seat chart.
#[derive(Clone, Debug)]
pub struct SeatChartView {
    /// The performance with its concert and venue.
    pub context: PerformanceContext,
    /// A hash of everything that `GetSeatChart` returns, prices included.
    pub version: Arc<str>,
}

/// A query for a stream of the seats of a performance.
#[derive(Clone, Debug)]
pub struct SeatWatchQuery {
    /// The performance.
    pub performance: PerformanceId,
    /// Only these sections, by name; empty for all.
    pub sections: HashSet<String>,
    /// The version of these seats that the caller already has, if any.
    pub after_version: Option<u64>,
}

/// The use cases of `CatalogService`.
#[derive(Clone)]
pub struct CatalogUseCases {
    catalog: Arc<dyn Catalog>,
    contexts: PerformanceContexts,
    seat_map: SeatMap,
    guard: QueueGuard,
    /// By the performance and its revision.
    chart_versions: Cache<(PerformanceId, u32), Arc<str>>,
}

impl CatalogUseCases {
    /// The use cases over their ports.
    pub fn new(catalog: Arc<dyn Catalog>, contexts: PerformanceContexts, seat_map: SeatMap, guard: QueueGuard) -> Self {
        Self { catalog, contexts, seat_map, guard, chart_versions: Cache::new(CHART_VERSIONS_KEPT) }
    }

    /// The concerts that are wanted.
    pub async fn list_concerts(
        &self,
        filter: &ConcertFilter,
        order: ConcertOrder,
        page: PageRequest<ConcertCursor>,
    ) -> Result<Page<Concert, ConcertCursor>, AppError> {
        Ok(self.catalog.concerts(filter, order, page).await?)
    }

    /// The venues that are wanted, by name.
    pub async fn list_venues(
        &self,
        filter: &VenueFilter,
        page: PageRequest<VenueCursor>,
    ) -> Result<Page<ListedVenue, VenueCursor>, AppError> {
        Ok(self.catalog.venues(filter, page).await?)
    }

    /// One venue.
    pub async fn get_venue(&self, id: VenueId) -> Result<ListedVenue, AppError> {
        self.catalog.listed_venue(id).await?.ok_or_else(|| AppError::not_found("venue", id))
    }

    /// One concert.
    pub async fn get_concert(&self, id: ConcertId) -> Result<Arc<Concert>, AppError> {
        Ok(self.contexts.concert(id).await?)
    }

    /// The performances that are wanted, with the number of free seats of each.
    pub async fn list_performances(
        &self,
        filter: &PerformanceFilter,
        order: PerformanceOrder,
        page: PageRequest<PerformanceCursor>,
    ) -> Result<Page<PerformanceSummary, PerformanceCursor>, AppError> {
        if let Some(concert) = filter.concert {
            self.contexts.concert(concert).await?;
        }
        let Page { items, next } = self.catalog.performances(filter, order, page).await?;
        let ids: Vec<PerformanceId> = items.iter().map(|performance| performance.id).collect();
        let stock = self.seat_map.stock(&ids).await?;
        let mut summaries = Vec::with_capacity(items.len());
        for (performance, stock) in items.into_iter().zip(stock) {
            summaries.push(self.summary(performance, stock.free).await?);
        }
        Ok(Page { items: summaries, next })
    }

    /// A performance that was not withdrawn.
    async fn context(&self, id: PerformanceId) -> Result<PerformanceContext, AppError> {
        let context = self.contexts.context(id).await?;
        if context.performance.amended.withdrawn_at.is_some() {
            return Err(AppError::not_found("performance", id));
        }
        Ok(context)
    }

    /// A performance with the number of its free seats.
    pub async fn get_performance(&self, id: PerformanceId) -> Result<PerformanceSummary, AppError> {
        let context = self.context(id).await?;
        let stock = self.seat_map.stock(&[id]).await?;
        let seats_left = stock.first().map_or(0, |stock| stock.free);
        Ok(PerformanceSummary { context, seats_left })
    }

    async fn summary(&self, performance: Performance, seats_left: u32) -> Result<PerformanceSummary, AppError> {
        let concert = self.contexts.concert(performance.concert).await?;
        let venue = self.contexts.venue(performance.venue).await?;
        Ok(PerformanceSummary {
            context: PerformanceContext { performance: Arc::new(performance), concert, venue },
            seats_left,
        })
    }

    /// The seats of a performance with their state.
    pub async fn list_seats(
        &self,
        caller: Caller,
        pass: &QueuePass,
        query: &SeatQuery,
    ) -> Result<SeatListing, AppError> {
        let context = self.context(query.performance).await?;
        check_sections(&context, &query.sections)?;
        self.guard.authorize(pass, caller, &context.performance).await?;
        let state = self.seat_map.state(&context).await?;
        let Page { items, next } = page_of_seats(&context, &state, query);
        let areas = areas(&context, &state, &query.sections);
        Ok(SeatListing { context, version: state.version, seats: items, areas, next })
    }

    /// The seat chart of a performance. Of what it contains, the prices may change.
    pub async fn get_seat_chart(&self, performance: PerformanceId) -> Result<SeatChartView, AppError> {
        let context = self.context(performance).await?;
        let hashed = async { chart_version(&context.performance.prices, &context.venue.chart).into() };
        let revision = context.performance.amended.revision;
        let version = self.chart_versions.get_with((performance, revision), hashed).await;
        Ok(SeatChartView { context, version })
    }

    /// A stream of the seats of a performance, with their chart. The guard authorizes the call once. The stream ends
    /// when the fan's admission ends.
    pub async fn watch_seats(
        &self,
        caller: Caller,
        pass: &QueuePass,
        query: &SeatWatchQuery,
    ) -> Result<(SeatChartView, impl Stream<Item = Result<ObservedSeats, AppError>> + Send + use<>), AppError> {
        let chart = self.get_seat_chart(query.performance).await?;
        check_sections(&chart.context, &query.sections)?;
        let admission = self.guard.authorize(pass, caller, &chart.context.performance).await?;
        let until = admission.map(|admission| admission.until);
        let SeatWatchQuery { sections, after_version, .. } = query;
        let watch = SeatWatch { user: caller.user, sections, after_version: *after_version, until };
        let stream = self.seat_map.watch(&chart.context, &watch).await?;
        Ok((chart, stream.frames().map_err(AppError::from)))
    }
}

fn check_sections(context: &PerformanceContext, sections: &HashSet<String>) -> Result<(), AppError> {
    let known: HashSet<&str> = context.venue.chart.sections().iter().map(|section| section.name.as_str()).collect();
    let mut unknown: Vec<String> = sections.iter().filter(|name| !known.contains(name.as_str())).cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort_unstable();
    Err(AppError::NotFound { kind: "section", ids: unknown })
}

fn areas(context: &PerformanceContext, state: &SeatState, sections: &HashSet<String>) -> Vec<(Area, u32)> {
    let chart = &context.venue.chart;
    let wanted = chart.areas().iter().filter(|area| sections.is_empty() || sections.contains(chart.name_of(area)));
    wanted.map(|area| (*area, state.free_units(area))).collect()
}

fn page_of_seats(context: &PerformanceContext, state: &SeatState, query: &SeatQuery) -> Page<(Seat, SeatStatus), Slot> {
    let chart = &context.venue.chart;
    let first = query.page.after.map_or(0, |after| chart.seats().partition_point(|seat| seat.slot <= after));
    let rows = chart.seats()[first..]
        .iter()
        .filter(|seat| query.sections.is_empty() || query.sections.contains(&chart.section_of(seat).name))
        // A seat without a status is not for sale.
        .map(|seat| (seat, state.status(seat.slot).unwrap_or(SeatStatus::Blocked)))
        .filter(|(_, status)| !query.free_only || *status == SeatStatus::Free)
        .map(|(seat, status)| (seat.clone(), status))
        .take(query.page.size as usize + 1)
        .collect();
    Page::from_rows(rows, query.page.size, |(seat, _)| seat.slot)
}
