//! Workers' steps while the queue store hangs for some queues.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::catalog::OnSale;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{
    Absent, Clock, CutLane, FrozenLane, JoinRefusal, Joined, Joining, MockCatalog, MockDraws, MockQueueRecords,
    Presence, QueueLost, QueueStore, RequestReused, TokenRefusal,
};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, LaneNumber, Queue, QueueToken, QueueTokenPayload, RestoredQueue, TokenState,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures;
use encore_waiting_room::{Stock, WaitingRoom, WaitingRoomParts};
use tokio::time::{Instant, sleep, timeout};

/// How long the client of a store waits for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
const RUN_FOR: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Admit,
    Snapshot,
    AbandonAbsent,
}

/// A queue store that answers after a millisecond, and does not answer for some queues. It counts the answers.
#[derive(Default)]
struct HangingQueues {
    hung: Mutex<Vec<PerformanceId>>,
    answered: Mutex<HashMap<(PerformanceId, Call), usize>>,
}

impl HangingQueues {
    async fn answer(&self, performance: PerformanceId, call: Call) -> Result<(), Unavailable> {
        sleep(Duration::from_millis(1)).await;
        if self.hung.lock().expect("no panic").contains(&performance) {
            sleep(REPLY_TIMEOUT).await;
            return Err(Unavailable::of("the queue store"));
        }
        *self.answered.lock().expect("no panic").entry((performance, call)).or_default() += 1;
        Ok(())
    }

    fn answered(&self, performance: PerformanceId, call: Call) -> usize {
        self.answered.lock().expect("no panic").get(&(performance, call)).copied().unwrap_or_default()
    }
}

#[async_trait]
impl QueueStore for HangingQueues {
    async fn admit(
        &self,
        performance: PerformanceId,
        _: &AdmissionTerms,
        _: Timestamp,
    ) -> Result<u64, PortError<QueueLost>> {
        self.answer(performance, Call::Admit).await?;
        Ok(0)
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable> {
        self.answer(performance, Call::Snapshot).await?;
        Ok(None)
    }

    async fn abandon_absent(&self, performance: PerformanceId, _: Presence) -> Result<Absent, PortError<QueueLost>> {
        self.answer(performance, Call::AbandonAbsent).await?;
        Ok(Absent::default())
    }

    async fn open(&self, _: PerformanceId, _: &RestoredQueue) -> Result<bool, Unavailable> {
        unreachable!("nobody joins")
    }

    async fn extend(&self, _: PerformanceId, _: i64, _: u8, _: u64) -> Result<(), PortError<QueueLost>> {
        unreachable!("nobody joins")
    }

    async fn join(&self, _: Joining) -> Result<Joined, PortError<JoinRefusal>> {
        unreachable!("nobody joins")
    }

    async fn find_join(
        &self,
        _: PerformanceId,
        _: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, PortError<RequestReused>> {
        unreachable!("nobody joins")
    }

    async fn note_leave(
        &self,
        _: &QueueToken,
        _: Option<RequestKey>,
        _: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn show(
        &self,
        _: PerformanceId,
        _: &[QueueToken],
        _: Presence,
    ) -> Result<Vec<EndedToken>, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn state(&self, _: &QueueToken, _: Timestamp) -> Result<TokenState, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn accept(&self, _: &QueueToken, _: Duration, _: Timestamp) -> Result<TokenState, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn end(&self, _: &QueueToken, _: EndReason, _: Timestamp) -> Result<TokenState, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn spend_hold_try(&self, _: &QueueToken, _: u32, _: Timestamp) -> Result<bool, PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn return_hold_try(&self, _: &QueueToken, _: Timestamp) -> Result<(), PortError<TokenRefusal>> {
        unreachable!("nobody joins")
    }

    async fn freeze(&self, _: PerformanceId, _: &[u64]) -> Result<Option<Vec<FrozenLane>>, PortError<QueueLost>> {
        unreachable!("no queue has a draw")
    }

    async fn cut(&self, _: PerformanceId, _: &[CutLane], _: Presence) -> Result<bool, PortError<QueueLost>> {
        unreachable!("no queue has a draw")
    }

    async fn report_present(
        &self,
        _: PerformanceId,
        _: &[LaneNumber],
        _: bool,
        _: Presence,
    ) -> Result<(), PortError<QueueLost>> {
        unreachable!("nobody is present")
    }
}

/// The clock of the paused runtime.
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        fixtures::start() + self.0.elapsed()
    }
}

struct FreeSeats;

#[async_trait]
impl Stock for FreeSeats {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        Ok(StockByNeed { general: SeatStock { free: 26, held: 0 }, ..StockByNeed::default() })
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        Ok(true)
    }
}

async fn room(queues: Arc<HangingQueues>, performances: &[PerformanceId]) -> WaitingRoom {
    let sale = |performance: &PerformanceId| OnSale {
        performance: *performance,
        opens_at: fixtures::start(),
        queue: Some(Queue::default()),
    };
    let on_sale: Vec<OnSale> = performances.iter().map(sale).collect();
    let mut catalog = MockCatalog::new();
    catalog.expect_on_sale().returning(move |_| Ok(on_sale.clone()));
    catalog.expect_note_opening().returning(|_| Ok(true));
    let room = WaitingRoom::new(WaitingRoomParts {
        queues,
        records: Arc::new(MockQueueRecords::new()),
        draws: Arc::new(MockDraws::new()),
        catalog: Arc::new(catalog),
        stock: Arc::new(FreeSeats),
        clock: Arc::new(RuntimeClock(Instant::now())),
    });
    room.refresh_open_queues().await.expect("the catalog answers");
    room
}

/// Repeats all steps as the workers do, for a time.
async fn work(room: &WaitingRoom) {
    let repeat = async |pause: Duration, step: &dyn Fn() -> futures::future::BoxFuture<'static, ()>| {
        loop {
            step().await;
            sleep(pause).await;
        }
    };
    let tick = || -> futures::future::BoxFuture<'static, ()> {
        let room = room.clone();
        Box::pin(async move { drop(room.tick().await) })
    };
    let presence = || -> futures::future::BoxFuture<'static, ()> {
        let room = room.clone();
        Box::pin(async move { drop(room.keep_presence().await) })
    };
    let checkpoint = || -> futures::future::BoxFuture<'static, ()> {
        let room = room.clone();
        Box::pin(async move { drop(room.checkpoint().await) })
    };
    let all = async {
        tokio::join!(
            repeat(WaitingRoom::TICK_EVERY, &tick),
            repeat(WaitingRoom::PRESENCE_EVERY, &presence),
            repeat(WaitingRoom::CHECKPOINT_EVERY, &checkpoint),
        )
    };
    assert!(timeout(RUN_FOR, all).await.is_err(), "workers do not end");
}

#[tokio::test(start_paused = true)]
async fn queues_that_hang_delay_no_other() {
    let performances: Vec<PerformanceId> = (0..50).map(|_| fixtures::id()).collect();
    let (kept, hung) = performances.split_at(2);
    let (alone, among) = (Arc::<HangingQueues>::default(), Arc::<HangingQueues>::default());
    among.hung.lock().expect("no panic").extend(hung);

    work(&room(Arc::clone(&alone), kept).await).await;
    work(&room(Arc::clone(&among), &performances).await).await;

    for performance in kept {
        for call in [Call::Admit, Call::Snapshot, Call::AbandonAbsent] {
            let (alone, among) = (alone.answered(*performance, call), among.answered(*performance, call));
            assert!(alone > 100, "{call:?}: {alone} without any that hangs");
            // The first round waits until the others have turned out to be slow.
            assert!(alone.abs_diff(among) <= 5, "{call:?}: {among} instead of {alone}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hung_may_end_absent_fans_only_after_a_whole_grace() {
    let performance = fixtures::id();
    let queues = Arc::<HangingQueues>::default();
    let room = room(Arc::clone(&queues), &[performance, fixtures::id()]).await;
    work(&room).await;
    let before = queues.answered(performance, Call::AbandonAbsent);
    assert!(before > 0);

    queues.hung.lock().expect("no panic").push(performance);
    room.keep_presence().await.expect("the other queue answers");
    sleep(REPLY_TIMEOUT * 3).await;
    queues.hung.lock().expect("no panic").clear();
    let back_at = Instant::now();
    while queues.answered(performance, Call::AbandonAbsent) == before {
        room.keep_presence().await.expect("the store answers");
        sleep(WaitingRoom::PRESENCE_EVERY).await;
    }
    assert!(back_at.elapsed() >= Queue::default().settings.grace, "{:?}", back_at.elapsed());
}
