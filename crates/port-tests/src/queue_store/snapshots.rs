use encore_domain::ports::Presence;
use encore_domain::queue::snapshot::{NumberStatus, QueueFlow};
use encore_domain::queue::{EndReason, QueueRate, QueueSettings, TokenState};
use std::time::Duration;

use super::{ACTIVE_DURATION, EPOCH, number, open_doors, period, waiting};
use crate::SpeedBench;
use crate::fixtures::{at_secs, queue_settings, start};

pub async fn counts_what_became_of_them(bench: SpeedBench) {
    let queue = bench.queue(12).await;
    let performance = queue[0].performance;
    bench.end(&queue[11], EndReason::Left, start()).await;
    let moved = bench.join_lane(performance, queue[10].user, 1, start()).await;
    assert_eq!((moved.lane, moved.index), (1, 1));
    let six = QueueSettings { batch: 6, accept_window: ACTIVE_DURATION, ..queue_settings() };
    let only_general = QueueSettings { lanes: six.lanes.clone(), ..six };
    assert_eq!(bench.admit(&queue, &only_general, start()).await, 6);
    let mut called = Vec::new();
    for payload in queue.iter().chain([&moved]) {
        if matches!(bench.state(payload, start()).await, TokenState::Called { .. }) {
            called.push(*payload);
        }
    }
    for payload in &called[..4] {
        bench.accept(payload, start()).await;
    }
    bench.end(&called[0], EndReason::Used, start()).await;
    bench.end(&called[1], EndReason::Left, start()).await;
    let late = start() + ACTIVE_DURATION;
    let paused = QueueSettings { paused: true, ..queue_settings() };
    assert_eq!(bench.admit(&queue, &paused, late).await, 0);
    let still = bench.snapshot(performance).await.waiting();
    assert_eq!(bench.abandon_absent(performance, late).await, still);
    let expected =
        QueueFlow { joined: 13, called: 6, accepted: 4, no_shows: 2, left: 3, abandoned: still, used: 1, expired: 2 };
    assert_eq!(bench.snapshot(performance).await.flow, expected);
}

pub async fn snapshots_agree_with_states(bench: SpeedBench) {
    let queue = bench.queue(150).await;
    let performance = queue[0].performance;
    // The first forty are called at the start. Every second one accepts, every fifth one pays, and the others miss
    // their call.
    let rate = QueueRate { admissions: 1, period: Duration::from_hours(1) };
    let settings = QueueSettings { rate, batch: 40, ..open_doors() };
    for number in [2, 17, 64, 65, 71, 72, 73, 128, 129, 150] {
        bench.end(&queue[number - 1], EndReason::Left, start()).await;
    }
    assert_eq!(bench.admit(&queue, &settings, start()).await, 40);
    for payload in queue[..42].iter().step_by(2) {
        bench.accept(payload, start()).await;
    }
    for payload in queue[..42].iter().step_by(5) {
        bench.end(payload, EndReason::Used, at_secs(1)).await;
    }
    bench.report(&queue, (1..=100).chain(110..=150), period(1)).await;
    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 9);
    assert_eq!(bench.admit(&queue, &QueueSettings { batch: 3, ..settings.clone() }, now).await, 0, "the rate is low");
    let now = now + Duration::from_millis(600);
    let faster = QueueRate { admissions: 5, period: Duration::from_secs(1) };
    assert_eq!(bench.admit(&queue, &QueueSettings { rate: faster, batch: 3, ..settings }, now).await, 3);

    let snapshot = bench.snapshot(performance).await;
    let mut ahead = 0;
    for payload in &queue {
        let expected = match bench.state(payload, now).await {
            TokenState::Waiting => {
                ahead += 1;
                NumberStatus::waiting_at(ahead)
            }
            TokenState::Called { accept_by } => {
                assert_eq!(snapshot.called.get(&number(payload.index)), Some(&accept_by));
                NumberStatus::Called
            }
            TokenState::Active { until } => NumberStatus::Active { until },
            TokenState::Ended(_) => NumberStatus::Ended,
        };
        assert_eq!(snapshot.status(number(payload.index)), expected, "number {}", payload.index);
    }
    assert_eq!(snapshot.waiting(), ahead);
    assert_eq!((snapshot.epoch, snapshot.lanes[0].head, snapshot.lanes[0].tail), (EPOCH, 45, 150));
    assert_eq!((snapshot.called.len(), snapshot.active.len(), ahead), (3, 15, 88));
}

pub async fn keeps_performances_apart(bench: SpeedBench) {
    let (evening, matinee) = (bench.queue(10).await, bench.queue(3).await);
    let payload = bench.join(matinee[0].performance, evening[0].user, start()).await;
    assert_eq!(payload.index, 4, "a fan may wait in two queues");
    let untouched = bench.snapshot(matinee[0].performance).await;

    bench.end(&evening[1], EndReason::Left, start()).await;
    assert_eq!(bench.admit(&evening, &queue_settings(), start()).await, 5);
    bench.accept(&evening[0], start()).await;
    bench.report(&evening, [8, 9, 10], period(1)).await;
    assert_eq!(bench.abandon_absent(evening[0].performance, period(Presence::PERIODS + 1)).await, 1);
    assert_eq!(bench.snapshot(matinee[0].performance).await, untouched);
    assert!(bench.states(&matinee, period(5)).await.into_iter().all(waiting));

    assert_eq!(bench.admit(&matinee, &queue_settings(), start()).await, 4, "its bucket is its own");
    assert_eq!(bench.abandon_absent(matinee[0].performance, period(100)).await, 0);
}
