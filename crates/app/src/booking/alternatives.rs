//! Alternatives to seats that are taken.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::alternatives::alternatives;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::PerformanceId;
use encore_seat_map::SeatMap;
use moka::future::Cache;
use tracing::warn;

use crate::contexts::PerformanceContext;

/// How long alternatives are reused for further requests of the same seats, so that many requests for two seats cost one search.
const ALTERNATIVES_KEPT_FOR: Duration = Duration::from_millis(200);
/// How many different requests are cached, each for [`ALTERNATIVES_KEPT_FOR`].
const REQUESTS_KEPT: u64 = 10_000;

/// Finds alternatives. Concurrent requests for the same seats share one search.
#[derive(Clone)]
pub(crate) struct SeatAlternatives {
    seat_map: SeatMap,
    found: Cache<(PerformanceId, Vec<Slot>), Arc<FoundAlternatives>>,
}

/// Alternatives that were free a moment ago.
#[derive(Debug, Default)]
pub(crate) struct FoundAlternatives {
    /// The version of the seat state in which they were free; none if the state could not be read.
    pub(crate) version: Option<u64>,
    /// Seat ids by block, the nearest block first.
    pub(crate) blocks: Vec<Vec<String>>,
}

impl SeatAlternatives {
    pub(crate) fn new(seat_map: SeatMap) -> Self {
        Self {
            seat_map,
            found: Cache::builder().max_capacity(REQUESTS_KEPT).time_to_live(ALTERNATIVES_KEPT_FOR).build(),
        }
    }

    /// Free seats near these. They are optional, so that an error yields none.
    pub(crate) async fn instead_of(&self, context: &PerformanceContext, wanted: &[Slot]) -> Arc<FoundAlternatives> {
        self.found.get_with((context.performance.id, wanted.to_vec()), self.find(context, wanted)).await
    }

    async fn find(&self, context: &PerformanceContext, wanted: &[Slot]) -> Arc<FoundAlternatives> {
        match self.seat_map.state(context).await {
            Ok(state) => {
                let blocks = alternatives(&context.venue.chart, &state.statuses, wanted);
                let blocks = blocks.iter().map(|block| context.seat_ids(block)).collect();
                Arc::new(FoundAlternatives { version: Some(state.version), blocks })
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "seat state unavailable; no alternatives offered");
                Arc::default()
            }
        }
    }
}
