//! A waiting room on mocked ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Clock, MockCatalog, MockDraws, MockQueueRecords, MockQueueStore};
use encore_domain::queue::Queue;
use encore_port_tests::fixtures;
use encore_waiting_room::{Stock, WaitingRoom, WaitingRoomParts};

/// A performance with free seats.
#[derive(Clone)]
pub struct FreeSeats {
    /// Whether a fan may buy.
    pub may_buy: fn() -> Result<bool, Unavailable>,
    /// How often it was asked whether a fan may buy.
    pub asked: Arc<AtomicUsize>,
}

impl Default for FreeSeats {
    fn default() -> Self {
        Self { may_buy: || Ok(true), asked: Arc::default() }
    }
}

#[async_trait]
impl Stock for FreeSeats {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        Ok(StockByNeed { general: SeatStock { free: 26, held: 0 }, ..StockByNeed::default() })
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        (self.may_buy)()
    }
}

/// The ports of a waiting room. Without expectations, every call of them fails the test.
#[derive(Default)]
pub struct Mocks {
    pub queues: MockQueueStore,
    pub records: MockQueueRecords,
    pub draws: MockDraws,
    pub stock: FreeSeats,
}

impl Mocks {
    /// A waiting room that knows one open queue with the default settings.
    pub async fn room(self, performance: PerformanceId, clock: Arc<dyn Clock>) -> WaitingRoom {
        let mut catalog = MockCatalog::new();
        let sale = OnSale { performance, opens_at: fixtures::start(), queue: Some(Queue::default()) };
        catalog.expect_on_sale().returning(move |_| Ok(vec![sale.clone()]));
        catalog.expect_note_opening().returning(|_| Ok(true));
        let room = self.room_on(catalog, clock);
        room.refresh_open_queues().await.expect("the catalog answers");
        room
    }

    /// A waiting room that has not read the catalog yet.
    pub fn room_on(self, catalog: MockCatalog, clock: Arc<dyn Clock>) -> WaitingRoom {
        WaitingRoom::new(WaitingRoomParts {
            queues: Arc::new(self.queues),
            records: Arc::new(self.records),
            draws: Arc::new(self.draws),
            catalog: Arc::new(catalog),
            stock: Arc::new(self.stock),
            clock,
        })
    }
}
