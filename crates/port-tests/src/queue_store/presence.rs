use std::time::Duration;

use encore_domain::ports::Presence;
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{EndReason, LaneNumber, QueueSettings, QueueTokenPayload, TokenState};
use futures::stream::{self, StreamExt};

use super::{ACTIVE_DURATION, joining, new_queue, number, open_doors, period, seen_at};
use crate::SpeedBench;
use crate::fixtures::{id, just_before, queue_settings, start};

/// The number of concurrent joins to a long queue.
const JOINS_IN_FLIGHT: usize = 64;
/// The number of numbers in one report.
const BULK: u64 = 10_000;

pub async fn abandons_who_is_away(bench: SpeedBench) {
    let queue = bench.queue(6).await;
    let performance = queue[0].performance;
    let one = QueueSettings { batch: 1, accept_window: Duration::from_hours(1), ..queue_settings() };
    bench.admit(&queue, &one, start()).await;
    bench.accept(&queue[0], start()).await;
    // Number 3 is reported present, number 5 joins again, and 2, 4 and 6 are absent.
    bench.report(&queue, [3], period(1)).await;
    assert_eq!(bench.join(performance, queue[4].user, period(1)).await, queue[4]);

    let last_moment = just_before(period(Presence::PERIODS + 1));
    assert_eq!(bench.abandon_absent(performance, last_moment).await, 0);
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 3);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 0, "each fan is abandoned once");
    let states = bench.states(&queue, gone_at).await;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    let active = TokenState::Active { until: start() + ACTIVE_DURATION };
    assert_eq!(states, [active, abandoned, TokenState::Waiting, abandoned, TokenState::Waiting, abandoned]);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.waiting(), snapshot.status(number(5))), (2, NumberStatus::waiting_at(2)));

    assert_eq!(bench.admit(&queue, &open_doors(), gone_at).await, 2);
    assert_eq!(bench.abandon_absent(performance, period(100)).await, 0, "no fan is waiting");
}

pub async fn keeps_who_was_seen_later(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    bench.report(&queue, [1], period(Presence::PERIODS + 2)).await;
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(queue[0].performance, gone_at).await, 1);
    let states = bench.states(&queue, gone_at).await;
    assert_eq!(states, [TokenState::Waiting, TokenState::Ended(EndReason::Abandoned)]);
}

pub async fn reports_presence_in_bulk(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let joins = (0..=BULK).map(|_| bench.queues.join(joining(performance, id(), start())));
    let payloads: Vec<QueueTokenPayload> = stream::iter(joins)
        .buffer_unordered(JOINS_IN_FLIGHT)
        .map(|joined| joined.expect("a number is left").payload)
        .collect()
        .await;
    let others = bench.join_all(performance, 2, 3).await;
    let absent = BULK / 2;
    let in_lane_0 = (1..=BULK + 1).filter(|n| *n != absent).map(number);
    let numbers: Vec<LaneNumber> = in_lane_0.chain([LaneNumber { lane: 2, number: 2 }]).collect();
    let reported = bench.queues.report_present(performance, &numbers, false, seen_at(period(2))).await;
    reported.expect("the queue is open");

    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 3, "one of lane 0, two of lane 2");
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.waiting(), BULK + 1);
    assert_eq!(snapshot.status(number(absent)), NumberStatus::Ended);
    assert_eq!(snapshot.status(number(BULK + 1)), NumberStatus::waiting_at(BULK));
    assert_eq!(bench.state(&others[1], now).await, TokenState::Waiting);

    // Numbers that were not given out, and numbers of lanes that do not exist, are ignored.
    let strangers = [number(0), number(BULK * 2), number(u64::MAX), LaneNumber { lane: 9, number: 1 }];
    let later = period(Presence::PERIODS + 3);
    bench.queues.report_present(performance, &strangers, false, seen_at(later)).await.expect("the queue is open");
    assert_eq!(bench.abandon_absent(performance, later).await, BULK + 1);
    assert_eq!(bench.abandon_absent(performance, period(100)).await, 0);
    assert_eq!(payloads.len() as u64, BULK + 1);
}
