//! Turns requests for the best seats into searches.

use std::sync::Arc;

use encore_domain::booking::best_available::{Group, SeatOrder, SeatSearch, Stretch};
use encore_domain::booking::seat_request::{AllowedSeats, BestAvailableRequest};
use encore_domain::catalog::seat_chart::Seat;
use encore_domain::ids::VenueId;
use moka::future::Cache;

use crate::contexts::PerformanceContext;
use crate::error::AppError;

/// How many bytes of orders are cached: about 200 kinds of requests in venues of 60,000 seats.
const ORDERS_KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// Makes searches. It caches the order of a venue's seats per kind of request: there are few kinds, and a venue does not change.
#[derive(Clone)]
pub(crate) struct SeatSearches {
    orders: Cache<(VenueId, AllowedSeats, Option<Group>), Arc<SeatOrder>>,
}

impl Default for SeatSearches {
    fn default() -> Self {
        let orders = Cache::builder().weigher(|_, order| bytes(order)).max_capacity(ORDERS_KEPT_BYTES);
        Self { orders: orders.build() }
    }
}

impl SeatSearches {
    /// The search for a request in this venue.
    pub(crate) async fn search(
        &self,
        context: &PerformanceContext,
        seat_request: &BestAvailableRequest,
    ) -> Result<SeatSearch, AppError> {
        let chart = &context.venue.chart;
        let allowed = seat_request.allowed(chart, &context.performance.prices)?;
        let (sections, grades) = (allowed.sections.clone(), allowed.grades.clone());
        let group = Group { count: seat_request.count, accessible: seat_request.accessible };
        let measure = async {
            let of_grades = |seat: &Seat| grades.binary_search(&seat.grade).is_ok();
            Arc::new(SeatOrder::new(chart, &sections, group, of_grades))
        };
        // Without accessible seats, the order is the same for any number of seats.
        let kind = (context.venue.id, allowed, (seat_request.accessible > 0).then_some(group));
        let order = self.orders.get_with(kind, measure).await;
        Ok(SeatSearch { order, count: seat_request.count, allow_split: seat_request.allow_split })
    }
}

fn bytes(order: &Arc<SeatOrder>) -> u32 {
    let stretches: usize = order.sections.iter().map(Vec::len).sum();
    let per_slot = size_of::<u32>() + size_of::<bool>();
    u32::try_from(order.distances.len() * per_slot + stretches * size_of::<Stretch>()).unwrap_or(u32::MAX)
}
