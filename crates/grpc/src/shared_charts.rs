//! The pages of seat charts that many ask for, encoded and compressed once.

use std::sync::Arc;

use encore_app::catalog::SeatChartView;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::PerformanceId;
use encore_domain::page::PageRequest;
use moka::future::Cache;

use crate::page_token::Listing;
use crate::seat_chart::{CHART_PAGE_DEFAULT, chart_to_proto};
use crate::shared_reply::SharedReply;

/// The most bytes of all pages that are kept: a hundred pages of the largest size.
const BYTES_KEPT: u64 = 64 * 1024 * 1024;
/// The number of known beginnings of pages. Each takes less than a hundred bytes.
const BEGINNINGS_KEPT: u64 = 100_000;

/// The performance, the version of its chart, and the slot after which the page begins.
type Beginning = (PerformanceId, Arc<str>, Option<Slot>);

/// Encoded pages of charts. A chart of a version never changes, so they are never stale.
#[derive(Clone)]
pub(crate) struct SharedCharts {
    pages: Cache<Beginning, SharedReply>,
    /// Where pages of the default size begin that were asked for one after the other. Only those are shared: a client cannot
    /// make as many pages as there are seats.
    beginnings: Cache<Beginning, ()>,
}

impl Default for SharedCharts {
    fn default() -> Self {
        let bytes = |_: &Beginning, reply: &SharedReply| u32::try_from(reply.bytes()).unwrap_or(u32::MAX);
        Self {
            pages: Cache::builder().max_capacity(BYTES_KEPT).weigher(bytes).build(),
            beginnings: Cache::new(BEGINNINGS_KEPT),
        }
    }
}

impl SharedCharts {
    /// The page, if it is one that is shared. Concurrent callers encode it once.
    pub(crate) async fn page(
        &self,
        chart: &SeatChartView,
        page: PageRequest<Slot>,
        listing: &Listing<'_>,
    ) -> Option<SharedReply> {
        let performance = chart.context.performance.id;
        let of = |after| (performance, Arc::clone(&chart.version), after);
        let beginning = of(page.after);
        let is_known = page.after.is_none() || self.beginnings.contains_key(&beginning);
        if page.size != CHART_PAGE_DEFAULT || !is_known {
            return None;
        }
        let encoded = async {
            let (reply, next) = chart_to_proto(chart, page, listing);
            if next.is_some() {
                self.beginnings.insert(of(next), ()).await;
            }
            SharedReply::of(&reply)
        };
        Some(self.pages.get_with(beginning, encoded).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_token::unsigned_listings;
    use crate::seat_chart::tests::largest_context;

    #[tokio::test]
    async fn pages_that_are_asked_for_in_order_are_encoded_once_and_others_for_whoever_asks() {
        let charts = SharedCharts::default();
        let view = SeatChartView { context: largest_context(), version: "v".into() };
        let listings = unsigned_listings();
        let listing = listings.of("GetSeatChart", None, []);
        let page = async |after, size| charts.page(&view, PageRequest { after, size }, &listing).await;
        let (_, second) = chart_to_proto(&view, PageRequest { after: None, size: CHART_PAGE_DEFAULT }, &listing);
        assert!(second.is_some(), "a chart of several pages");
        assert!(page(second, CHART_PAGE_DEFAULT).await.is_none(), "nobody has asked for the page before");
        for after in [None, second] {
            let (one, other) = (page(after, CHART_PAGE_DEFAULT).await, page(after, CHART_PAGE_DEFAULT).await);
            assert!(one.zip(other).is_some_and(|(one, other)| one.shares_bytes_with(&other)));
        }
        assert!(page(None, 5).await.is_none(), "another size");
        assert!(page(Some(Slot(3)), CHART_PAGE_DEFAULT).await.is_none(), "another beginning");
        let changed = SeatChartView { version: "w".into(), ..view.clone() };
        let first = PageRequest { after: None, size: CHART_PAGE_DEFAULT };
        let (old, new) = (page(None, CHART_PAGE_DEFAULT).await, charts.page(&changed, first, &listing).await);
        assert!(old.zip(new).is_some_and(|(old, new)| !old.shares_bytes_with(&new)), "another version");
    }
}
