//! What is offered in place of seats that are taken.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::alternatives::alternatives;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::PerformanceId;
use moka::future::Cache;
use tracing::warn;

use crate::contexts::PerformanceContext;
use crate::seat_map::{SeatMap, seat_ids};

/// How long what was found for some seats is offered to others who want the same: a crowd on two seats has one look taken.
const ALTERNATIVES_KEPT_FOR: Duration = Duration::from_millis(200);
/// How many different seat requests are remembered; they are of a fifth of a second.
const REQUESTS_KEPT: u64 = 10_000;

/// Finds alternatives, once for all who want the same.
#[derive(Clone)]
pub(crate) struct SeatAlternatives {
    seat_map: SeatMap,
    found: Cache<(PerformanceId, Vec<Slot>), Arc<FoundAlternatives>>,
}

/// What could be had instead a moment ago.
#[derive(Debug, Default)]
pub(crate) struct FoundAlternatives {
    /// The version in which it could; none where the seats could not be looked at.
    pub(crate) version: Option<u64>,
    /// Seat ids by block, the nearest first.
    pub(crate) blocks: Vec<Vec<String>>,
}

impl SeatAlternatives {
    pub(crate) fn new(seat_map: SeatMap) -> Self {
        Self {
            seat_map,
            found: Cache::builder().max_capacity(REQUESTS_KEPT).time_to_live(ALTERNATIVES_KEPT_FOR).build(),
        }
    }

    /// What is near these seats. A refusal is no worse without an offer, so trouble makes it an empty one.
    pub(crate) async fn instead_of(&self, context: &PerformanceContext, wanted: &[Slot]) -> Arc<FoundAlternatives> {
        self.found.get_with((context.performance.id, wanted.to_vec()), self.find(context, wanted)).await
    }

    async fn find(&self, context: &PerformanceContext, wanted: &[Slot]) -> Arc<FoundAlternatives> {
        match self.seat_map.state(context).await {
            Ok(state) => {
                let blocks = alternatives(&context.venue.chart, &state.statuses, wanted);
                let blocks = blocks.iter().map(|block| seat_ids(context, block)).collect();
                Arc::new(FoundAlternatives { version: Some(state.version), blocks })
            }
            Err(trouble) => {
                warn!(error = &trouble as &dyn std::error::Error, "nothing is offered in place of taken seats");
                Arc::default()
            }
        }
    }
}
