//! The cases of [`Catalog`](encore_domain::ports::Catalog).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

mod events;
mod finding;
mod keeping;
mod listing;
mod queues;

use encore_domain::catalog::listing::{ConcertFilter, ConcertOrder, PerformanceFilter, PerformanceOrder};
use encore_domain::catalog::{Concert, OnSale, Performance};
use encore_domain::ids::{ConcertId, PerformanceId};
use encore_domain::queue::{Queue, QueueSettings};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

pub use self::events::*;
pub use self::finding::*;
pub use self::keeping::*;
pub use self::listing::*;
pub use self::queues::*;
use crate::RecordBench;
use crate::fixtures::request;
use crate::paging::read_all;

/// Stamps the cases of the port `Catalog`.
#[macro_export]
macro_rules! catalog {
    ($($with:tt)+) => {
        $crate::suite! { catalog [
            keeps_a_venue,
            keeps_a_large_venue,
            keeps_a_concert,
            keeps_a_performance,
            finds_nothing,
            pages_concerts,
            pages_performances,
            starts_a_page_of_performances_anywhere,
            repeats_an_add,
            finds_an_add_by_its_request,
            refuses_a_reused_request,
            finds_concerts_by_words,
            finds_performances,
            finds_concerts_by_location,
            finds_performances_by_location,
            orders_concerts_by_title,
            orders_performances,
            lists_venues,
            finds_venues,
            patches_a_queue,
            repeats_a_queue_patch,
            refuses_to_patch_without_a_queue,
            refuses_to_move_lanes,
            finds_a_queue,
            lists_what_is_on_sale,
            lists_queues_with_an_open_pre_queue,
            writes_an_event_of_a_performance,
            writes_events_of_a_queue,
            notes_an_opening_once,
            notes_a_cancellation_once,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn operator_request(&self) -> RequestKey {
        request(self.sign_up().await)
    }

    async fn settings(&self, performance: PerformanceId) -> QueueSettings {
        self.queue(performance).await.expect("there is a queue").settings
    }

    async fn queue(&self, performance: PerformanceId) -> Option<Queue> {
        self.catalog.queue(performance).await.expect("the store answers")
    }

    async fn all_concerts(&self) -> Vec<Concert> {
        let filter = ConcertFilter::default();
        read_all(100, |page| self.catalog.concerts(&filter, ConcertOrder::Creation, page)).await
    }

    async fn all_performances(&self, concert: ConcertId) -> Vec<Performance> {
        let filter = PerformanceFilter::of_concert(concert);
        read_all(100, |page| self.catalog.performances(&filter, PerformanceOrder::Start, page)).await
    }

    /// The performances on sale, sorted by id.
    async fn on_sale(&self, now: Timestamp) -> Vec<OnSale> {
        let mut on_sale = self.catalog.on_sale(now).await.expect("the store answers");
        on_sale.sort_by_key(|sale| sale.performance);
        on_sale
    }
}

fn sale_of(performance: &Performance, queue: Option<Queue>) -> OnSale {
    OnSale { performance: performance.id, opens_at: performance.on_sale.opens_at, queue }
}
