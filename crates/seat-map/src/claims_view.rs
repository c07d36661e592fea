//! Whether seats that the locks refuse have claims. A lock without a claim belongs to a call in progress, or is left over from one
//! that failed.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::SeatState;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use moka::future::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::contexts::PerformanceContext;
use crate::failed_searches::FailedSearches;
use crate::mutex::lock;
use crate::reader::SeatReader;

/// How long a view in which nothing fits is reused: a performance that is sold out costs a read of its claims this often, however
/// many fans are refused.
const REUSED_FOR: Duration = Duration::from_secs(2);
/// How many performances have a view. One of 60,000 seats takes 60 KB.
const VIEWS_KEPT: u64 = 1_000;
/// How long an unused view is kept.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The seats of performances by their claims, as of a moment ago.
#[derive(Clone)]
pub(crate) struct ClaimsViews {
    reader: SeatReader,
    /// A view is locked while it is read, so that concurrent callers share the read.
    views: Cache<PerformanceId, Arc<Mutex<Option<View>>>>,
}

#[derive(Clone)]
struct View {
    begun: Instant,
    seats: Arc<SeatState>,
    failed: Arc<std::sync::Mutex<FailedSearches>>,
}

impl View {
    fn fits(&self, search: &Search) -> bool {
        match search {
            Search::Seats(seats) => {
                lock(&self.failed).unless_known(seats, || seats.choose(&self.seats.statuses)).is_some()
            }
            Search::Units(units) => units.choose(&self.seats.statuses).is_ok(),
        }
    }
}

impl ClaimsViews {
    pub(crate) fn new(reader: SeatReader) -> Self {
        Self { reader, views: Cache::builder().max_capacity(VIEWS_KEPT).time_to_idle(KEPT_FOR).build() }
    }

    /// Whether seats without a claim fit a search. If so, that was seen after this call; otherwise at most [`REUSED_FOR`] before it.
    pub(crate) async fn fits(&self, context: &PerformanceContext, search: &Search) -> Result<bool, Unavailable> {
        let called = Instant::now();
        let view = self.view(context, called.checked_sub(REUSED_FOR)).await?;
        let fits = view.fits(search);
        if view.begun >= called || !fits {
            return Ok(fits);
        }
        Ok(self.view(context, Some(called)).await?.fits(search))
    }

    /// A view that was read at or after a time.
    async fn view(&self, context: &PerformanceContext, since: Option<Instant>) -> Result<View, Unavailable> {
        let known = self.views.get_with(context.performance.id, async { Arc::default() }).await;
        let mut known = known.lock().await;
        if let Some(view) = known.as_ref().filter(|view| since.is_none_or(|since| view.begun >= since)) {
            return Ok(view.clone());
        }
        let begun = Instant::now();
        let seats = Arc::new(self.reader.claimed(context).await?);
        Ok(known.insert(View { begun, seats, failed: Arc::default() }).clone())
    }
}
