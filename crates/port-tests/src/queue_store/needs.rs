use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{CutLane, Joining, Presence};
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{EndReason, QueueRecord, QueueSettings, QueueTokenPayload, RestoredQueue, TokenState};
use encore_domain::time::Timestamp;

use super::{ACTIVE_DURATION, EPOCH, LANES, joining, new_queue, number, open_doors, period, seen_at, token};
use crate::SpeedBench;
use crate::fixtures::{at_secs, id, queue_settings, start};

fn stock(general: u32, accessible: u32) -> StockByNeed {
    let free = |free| SeatStock { free, held: 0 };
    StockByNeed { general: free(general), accessible: free(accessible) }
}

impl SpeedBench {
    /// Joins fans to lane 0 of a performance: `a` needs an accessible seat, any other letter does not.
    async fn join_by_need(&self, performance: PerformanceId, needs: &str) -> Vec<QueueTokenPayload> {
        let mut payloads = Vec::new();
        for letter in needs.chars() {
            let fan = Joining { needs_accessible: letter == 'a', ..joining(performance, id(), start()) };
            payloads.push(self.try_join(fan).await.expect("a number is left"));
        }
        payloads
    }

    async fn admit_with(&self, performance: PerformanceId, stock: StockByNeed, now: Timestamp) -> u64 {
        let terms = open_doors().terms(Some(stock), start(), now);
        self.queues.admit(performance, &terms, now).await.expect("the queue is open")
    }

    /// The positions among all and among those who want the same kind of seat, of those who wait.
    async fn positions(&self, performance: PerformanceId, numbers: &[u64]) -> Vec<Option<(u64, u64)>> {
        let snapshot = self.snapshot(performance).await;
        let position = |of: &u64| match snapshot.status(number(*of)) {
            NumberStatus::Waiting { position, position_by_need } => Some((position, position_by_need)),
            NumberStatus::PreQueued | NumberStatus::Called | NumberStatus::Active { .. } | NumberStatus::Ended => None,
        };
        numbers.iter().map(position).collect()
    }
}

pub async fn admits_only_who_may_buy_what_is_left(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let queue = bench.join_by_need(performance, "ggagagga").await;
    assert_eq!(queue.iter().filter(|payload| payload.needs_accessible).count(), 3);
    let again = Joining { needs_accessible: false, ..joining(performance, queue[2].user, start()) };
    assert_eq!(bench.try_join(again).await.expect("the same token"), queue[2], "a token keeps what it says");
    assert_eq!(
        bench.positions(performance, &[2, 3, 4, 5]).await,
        [Some((2, 2)), Some((3, 1)), Some((4, 3)), Some((5, 2))],
        "joining with a need changes no position"
    );

    // One accessible seat is left: the first who needs one is called out of turn, and nobody else.
    assert_eq!(bench.admit_with(performance, stock(0, 1), start()).await, 1);
    assert_eq!(bench.past_waiting(&queue, start()).await, [3]);
    assert_eq!(bench.admit_with(performance, stock(0, 1), start()).await, 0, "the called fan may buy it");
    assert_eq!(
        bench.positions(performance, &[1, 2, 4, 5]).await,
        [1, 2, 3, 4].map(|it| Some((it, if it == 4 { 1 } else { it })))
    );
    let until = start() + ACTIVE_DURATION;
    assert_eq!(bench.accept(&queue[2], start()).await, TokenState::Active { until });
    assert_eq!(bench.snapshot(performance).await.inside_by_need(true, start()), 1);
    assert_eq!(bench.end(&queue[2], EndReason::Used, start()).await, TokenState::Ended(EndReason::Used));
    assert_eq!(bench.snapshot(performance).await.inside_by_need(true, start()), 0);

    // Only seats for everybody are left: who needs an accessible one is passed over, and keeps the position.
    assert_eq!(bench.admit_with(performance, stock(4, 0), start()).await, 4);
    assert_eq!(bench.past_waiting(&queue, start()).await, [1, 2, 3, 4, 6]);
    assert_eq!(bench.positions(performance, &[5, 7, 8]).await, [Some((1, 1)), Some((2, 1)), Some((3, 2))]);
    assert_eq!(bench.state(&queue[4], start()).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.waiting(), 3);

    // An accessible seat comes back: the fan who was passed over is called before everybody behind.
    assert_eq!(bench.admit_with(performance, stock(4, 1), start()).await, 1, "four may buy the other four");
    assert_eq!(bench.past_waiting(&queue, start()).await, [1, 2, 3, 4, 5, 6]);
    let missed = start() + open_doors().accept_window;
    assert_eq!(bench.admit_with(performance, stock(0, 0), missed).await, 0);
    assert_eq!(bench.state(&queue[4], missed).await, TokenState::Ended(EndReason::Abandoned), "a missed call is over");
    assert_eq!(bench.snapshot(performance).await.inside_by_need(true, missed), 0);

    // Leaving and being absent end a number that was passed over.
    bench.report(&queue, [8], period(1)).await;
    assert_eq!(bench.abandon_absent(performance, period(Presence::PERIODS + 1)).await, 1, "number 7 was away");
    assert_eq!(bench.positions(performance, &[7, 8]).await, [None, Some((1, 1))]);
    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.end(&queue[7], EndReason::Left, now).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.snapshot(performance).await.waiting(), 0);
    assert_eq!(bench.admit_with(performance, stock(9, 9), now).await, 0);
}

pub async fn a_need_survives_the_loss(bench: SpeedBench) {
    let lost = bench.opened(&new_queue()).await;
    let queue = bench.join_by_need(lost, "gagaga").await;
    assert_eq!(bench.admit_with(lost, stock(0, 1), start()).await, 1, "number 2 is called out of turn");
    assert_eq!(bench.admit_with(lost, stock(2, 1), start()).await, 2, "numbers 1 and 3");
    let record = bench.snapshot(lost).await.record(at_secs(1), &open_doors());
    assert_eq!(record.lanes[0].head, 3, "all before it are called");
    let called: Vec<(u64, bool)> =
        record.inside.iter().map(|inside| (inside.lane_number.number, inside.needs_accessible)).collect();
    assert_eq!(called, [(1, false), (2, true), (3, false)]);

    let mut record = QueueRecord { epoch: EPOCH, ..record };
    for lane in &mut record.lanes {
        lane.limit = 100;
    }
    let performance = id();
    let restored = RestoredQueue { reserved: 0, ..record.restored(None, &[], &[], &open_doors(), at_secs(1)) };
    bench.open_new(performance, &restored).await;
    let queue: Vec<QueueTokenPayload> =
        queue.iter().map(|payload| QueueTokenPayload { performance, ..*payload }).collect();
    assert_eq!(bench.snapshot(performance).await.inside_by_need(true, at_secs(1)), 1);
    let admitted = QueueTokenPayload { admitted_until: Some(at_secs(100)), ..queue[3] };
    let shown = [token(&queue[5]), token(&queue[4]), token(&admitted)];
    bench.queues.show(performance, &shown, seen_at(at_secs(1))).await.expect("the queue is open");
    assert_eq!(bench.state(&admitted, at_secs(1)).await, TokenState::Active { until: at_secs(100) });
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.inside_by_need(true, at_secs(1)), snapshot.lanes[0].head), (2, 3));
    assert_eq!(bench.positions(performance, &[5, 6]).await, [Some((1, 1)), Some((2, 1))]);
    let joined = bench.try_join(joining(performance, queue[5].user, at_secs(1))).await.expect("the same token");
    assert_eq!(joined, queue[5], "the queue knows from the shown token what the fan needs");

    let quiet_until = restored.quiet_until;
    let terms = QueueSettings { batch: 100, ..queue_settings() }.terms(Some(stock(9, 2)), start(), quiet_until);
    assert_eq!(bench.queues.admit(performance, &terms, quiet_until).await.expect("the queue is open"), 1);
    assert_eq!(bench.positions(performance, &[5, 6]).await, [None, Some((1, 1))], "two inside may buy both seats");
}

pub async fn a_need_survives_the_draw(bench: SpeedBench) {
    let with_draw = RestoredQueue { draws: true, ..new_queue() };
    let performance = bench.opened(&with_draw).await;
    let queue = bench.join_by_need(performance, "gagaa").await;
    assert_eq!(bench.end(&queue[4], EndReason::Left, start()).await, TokenState::Ended(EndReason::Left));
    let frozen = bench.queues.freeze(performance, &[5]).await.expect("the queue is open").expect("a draw");
    assert_eq!((frozen[0].count, frozen[0].needs_accessible.as_slice()), (5, &[2, 4][..]));
    assert_eq!((frozen[0].gone.as_slice(), frozen[0].unseen.len()), (&[5][..], 0));
    // The numbers are drawn in reverse.
    let mut cut = vec![CutLane::default(); LANES.into()];
    cut[0] = CutLane { count: 5, gone: vec![1], unseen: Vec::new(), needs_accessible: vec![4, 2] };
    assert!(bench.queues.cut(performance, &cut, seen_at(start())).await.expect("the queue is open"));
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.lanes[0].waiting_by_need(false), snapshot.lanes[0].waiting_by_need(true)), (2, 2));
    assert_eq!(
        bench.positions(performance, &[1, 2, 3, 4, 5]).await,
        [None, Some((1, 1)), Some((2, 1)), Some((3, 2)), Some((4, 2))]
    );
    let later = bench.join_by_need(performance, "a").await;
    assert_eq!(later[0].index, 6);
    assert_eq!(bench.positions(performance, &[6]).await, [Some((5, 3))]);
    assert_eq!(bench.admit_with(performance, stock(0, 3), start()).await, 3);
    assert_eq!(bench.positions(performance, &[2, 3, 4, 5, 6]).await, [None, Some((1, 1)), None, Some((2, 2)), None]);
}
