use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::queue::{AdmissionTerms, EndReason, LaneTurns, QueueRate, QueueSettings, TokenState};

use super::{ACTIVE_DURATION, LANES, new_queue, open_doors, waiting};
use crate::SpeedBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_ms, at_secs, id, lanes, queue_settings, start};

pub async fn admits_in_order(bench: SpeedBench) {
    let queue = bench.queue(200).await;
    let settings = QueueSettings { batch: 4, ..queue_settings() };
    bench.end(&queue[1], EndReason::Left, start()).await;
    for payload in &queue[3..150] {
        bench.end(payload, EndReason::Left, start()).await;
    }

    assert_eq!(bench.admit(&queue, &settings, at_secs(1)).await, 4);
    let called = TokenState::Called { accept_by: at_secs(1) + settings.accept_window };
    for number in [1, 3, 151, 152] {
        assert_eq!(bench.state(&queue[number - 1], at_secs(1)).await, called, "{number}");
    }
    let left = TokenState::Ended(EndReason::Left);
    for number in [2, 4, 100, 150] {
        assert_eq!(bench.state(&queue[number - 1], at_secs(1)).await, left, "{number}");
    }
    assert!(bench.states(&queue[152..], at_secs(1)).await.into_iter().all(waiting));
    assert_eq!(bench.snapshot(queue[0].performance).await.lanes[0].head, 152);

    for payload in &queue[152..] {
        bench.end(payload, EndReason::Left, at_secs(1)).await;
    }
    assert_eq!(bench.admit(&queue, &settings, at_secs(10)).await, 0, "no fan is waiting");
    let lane = bench.snapshot(queue[0].performance).await.lanes.remove(0);
    assert_eq!((lane.head, lane.called), (152, 4), "the head is the last number called");
    let newcomer = bench.join(queue[0].performance, id(), at_secs(10)).await;
    assert_eq!(newcomer.index, 201);
    assert_eq!(bench.admit(&queue, &settings, at_secs(10)).await, 1);
    let called = TokenState::Called { accept_by: at_secs(10) + settings.accept_window };
    assert_eq!(bench.state(&newcomer, at_secs(10)).await, called);
}

pub async fn admits_by_the_rate(bench: SpeedBench) {
    let queue = bench.queue(60).await;
    let settings = QueueSettings { max_active: 1_000, accept_window: Duration::from_hours(1), ..queue_settings() };
    assert_eq!(bench.admit(&queue, &settings, at_ms(500)).await, 5, "a batch at first");
    assert_eq!(bench.admit(&queue, &settings, at_ms(500)).await, 0);
    assert_eq!(bench.admit(&queue, &settings, at_ms(599)).await, 0);
    assert_eq!(bench.admit(&queue, &settings, at_ms(600)).await, 1, "10 a second is one every 100 ms");

    let mut called = 0;
    for ms in (600..=2_600).step_by(7) {
        called += bench.admit(&queue, &settings, at_ms(ms)).await;
    }
    assert_eq!(called, 19, "frequent calls admit no more, and the last of 20 is due at 2,600 ms");
    assert_eq!(bench.admit(&queue, &settings, at_ms(2_600)).await, 1);
    let paused = QueueSettings { paused: true, ..settings.clone() };
    assert_eq!(bench.admit(&queue, &paused, at_ms(2_900)).await, 0);
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!(snapshot.unspent(at_ms(2_900), &settings), 3, "the unspent tokens of the bucket");
    assert_eq!(snapshot.unspent(at_ms(3_000), &settings), 4, "one more after 100 ms");
    assert_eq!(bench.admit(&queue, &settings, at_secs(60)).await, 15, "a batch and what the rate makes in a second");
    let expected: Vec<u64> = (1..=41).collect();
    assert_eq!(bench.past_waiting(&queue, at_secs(60)).await, expected);
}

pub async fn the_batch_does_not_lower_the_rate(bench: SpeedBench) {
    // Admissions a second, the batch, and the time between two calls in milliseconds. 100 ms is a tick of the admission loop.
    let paces = [(9, 1, 100), (100, 1, 100), (100, 5, 100), (100, 5, 170), (3, 1, 130)];
    for (admissions, batch, tick_ms) in paces {
        let queue = bench.queue(600).await;
        let rate = QueueRate { admissions, period: Duration::from_secs(1) };
        let settings = QueueSettings {
            rate,
            batch,
            max_active: 1_000,
            accept_window: Duration::from_hours(1),
            ..queue_settings()
        };
        let (mut called, mut last_ms) = (0, 0);
        for ms in (0..=5_000).step_by(tick_ms) {
            called += bench.admit(&queue, &settings, at_ms(ms)).await;
            last_ms = ms;
        }
        let by_rate = u64::from(batch) + u64::from(admissions) * last_ms / 1_000;
        assert_eq!(called, by_rate, "{admissions} a second in batches of {batch}, every {tick_ms} ms");
    }
}

pub async fn a_change_of_period_admits_nobody_early(bench: SpeedBench) {
    let queue = bench.queue(60).await;
    let slow = QueueRate { admissions: 20, period: Duration::from_secs(10) };
    let same = QueueRate { admissions: 2, period: Duration::from_secs(1) };
    let settings = |rate| QueueSettings { rate, batch: 20, max_active: 1_000, ..queue_settings() };
    assert_eq!(bench.admit(&queue, &settings(slow), start()).await, 20, "a batch at first");
    assert_eq!(bench.admit(&queue, &settings(slow), at_ms(250)).await, 0);
    assert_eq!(bench.admit(&queue, &settings(same), at_ms(499)).await, 0);
    assert_eq!(bench.admit(&queue, &settings(same), at_ms(500)).await, 1, "one every 500 ms, in either notation");
    assert_eq!(bench.admit(&queue, &settings(slow), at_secs(5)).await, 9);
}

pub async fn admits_up_to_the_maximum(bench: SpeedBench) {
    let queue = bench.queue(10).await;
    let settings = QueueSettings { batch: 100, max_active: 3, ..queue_settings() };
    assert_eq!(bench.admit(&queue, &settings, start()).await, 3);
    assert_eq!(bench.admit(&queue, &settings, start()).await, 0, "three are called");
    bench.accept(&queue[0], start()).await;
    assert_eq!(bench.admit(&queue, &settings, at_secs(1)).await, 0, "one is active, two are called");
    bench.end(&queue[0], EndReason::Used, at_secs(1)).await;
    assert_eq!(bench.admit(&queue, &settings, at_secs(1)).await, 1, "an active token was freed");
    bench.end(&queue[1], EndReason::Left, at_secs(1)).await;
    assert_eq!(bench.admit(&queue, &settings, at_secs(1)).await, 1, "a called token was freed");

    let lower = QueueSettings { max_active: 2, ..settings };
    assert_eq!(bench.admit(&queue, &lower, at_secs(2)).await, 0);
    bench.end(&queue[2], EndReason::Left, at_secs(2)).await;
    assert_eq!(bench.admit(&queue, &lower, at_secs(2)).await, 0, "two are still called or active");
    bench.end(&queue[3], EndReason::Left, at_secs(2)).await;
    assert_eq!(bench.admit(&queue, &lower, at_secs(2)).await, 1);
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!((snapshot.lanes[0].head, snapshot.called.len() + snapshot.active.len()), (6, 2));
}

pub async fn admits_under_contention(bench: SpeedBench) {
    let queue = bench.queue(100).await;
    let performance = queue[0].performance;
    let terms = QueueSettings { batch: 7, ..queue_settings() }.terms(None, start(), at_secs(1));
    let answers = at_once((0..TWENTY).map(|_| {
        let (queues, terms) = (Arc::clone(&bench.queues), terms.clone());
        async move { queues.admit(performance, &terms, at_secs(1)).await.expect("the queue is open") }
    }))
    .await;
    assert_eq!(answers.iter().sum::<u64>(), 7);
    assert_eq!(bench.past_waiting(&queue, at_secs(1)).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(bench.snapshot(performance).await.lanes[0].head, 7);
}

pub async fn admits_nobody_unless_calling(bench: SpeedBench) {
    let queue = bench.queue(4).await;
    let running = QueueSettings { batch: 2, ..queue_settings() };
    let paused = QueueSettings { paused: true, ..running.clone() };
    assert_eq!(bench.admit(&queue, &paused, start()).await, 0);
    let unopened = running.terms(None, at_secs(1), start());
    assert_eq!(bench.queues.admit(queue[0].performance, &unopened, start()).await.expect("the queue is open"), 0);
    assert_eq!(bench.admit(&queue, &running, start()).await, 2);
    bench.accept(&queue[0], start()).await;

    let late = start() + ACTIVE_DURATION;
    assert_eq!(bench.admit(&queue, &paused, late).await, 0);
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert!(
        snapshot.called.is_empty() && snapshot.active.is_empty(),
        "overdue calls and admissions have ended: {snapshot:?}"
    );
    let (expired, abandoned) = (TokenState::Ended(EndReason::Expired), TokenState::Ended(EndReason::Abandoned));
    let expected = [expired, abandoned, TokenState::Waiting, TokenState::Waiting];
    assert_eq!(bench.states(&queue, late).await, expected);
    assert_eq!(bench.admit(&queue, &running, late).await, 2);
}

pub async fn admits_no_more_than_the_stock(bench: SpeedBench) {
    let queue = bench.queue(20).await;
    let admit_at = async |general: Option<SeatStock>| {
        let stock = general.map(|general| StockByNeed { general, ..StockByNeed::default() });
        let terms = open_doors().terms(stock, start(), start());
        bench.queues.admit(queue[0].performance, &terms, start()).await.expect("the queue is open")
    };
    let admit = async |free: u32| admit_at(Some(SeatStock { free, held: 0 })).await;
    assert_eq!(admit(0).await, 0);
    assert_eq!(admit(3).await, 3);
    assert_eq!(admit(3).await, 0, "each called fan may buy a seat");
    bench.accept(&queue[0], start()).await;
    assert_eq!(admit(3).await, 0, "an active fan may buy a seat");
    bench.end(&queue[0], EndReason::Used, start()).await;
    assert_eq!(admit(2).await, 0, "one was sold, and two fans are called");
    assert_eq!(admit(1).await, 0, "another was sold outside the queue");
    assert_eq!(admit(6).await, 4, "seats were released");
    assert_eq!(bench.past_waiting(&queue, start()).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(admit_at(Some(SeatStock { free: 0, held: 20 })).await, 0, "held seats are not free");
    assert_eq!(
        admit_at(Some(SeatStock { free: 1, held: 20 })).await,
        1,
        "held seats are counted for the fans who are called or active"
    );
    assert_eq!(admit_at(None).await, 12, "an unknown stock limits nothing");
}

pub async fn admits_lanes_by_weight(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let at_first = [60, 25, 40];
    for (lane, count) in (0..LANES).zip(at_first) {
        bench.join_all(performance, lane, count).await;
    }
    let mut waiting: Vec<u64> = at_first.to_vec();
    let mut turns = LaneTurns::new(LANES.into());
    let mut expect = |terms: &AdmissionTerms, waiting: &mut Vec<u64>, count: u64| {
        for _ in 0..count {
            let lane = turns.take(&terms.weights, |lane| waiting[lane] > 0).expect("a waiting fan");
            waiting[lane] -= 1;
        }
    };
    // Batches of one, then of several, then with other weights. The second lane is empty for a while, and the first at
    // the end.
    let names = |weights: [u32; 3]| lanes(&[("general", weights[0]), ("fan-club", weights[1]), ("press", weights[2])]);
    let steps = [(30, 1, [2, 3, 1]), (4, 7, [2, 3, 1]), (8, 4, [1, 5, 7])];
    for (times, batch, weights) in steps {
        for _ in 0..times {
            let terms = QueueSettings { lanes: names(weights), ..open_doors() };
            let terms = terms.terms(None, start(), start());
            let terms = AdmissionTerms { max_active: inside(&bench, performance).await + batch, ..terms };
            let called = bench.queues.admit(performance, &terms, start()).await.expect("the queue is open");
            assert_eq!(called, u64::from(batch));
            expect(&terms, &mut waiting, called);
            let snapshot = bench.snapshot(performance).await;
            let left: Vec<u64> = snapshot.lanes.iter().map(|lane| lane.tail - lane.head).collect();
            assert_eq!(left, waiting, "weights {weights:?}");
        }
    }
    assert_eq!(waiting[1], 0, "the other lanes took its share");

    bench.join_all(performance, 1, 12).await;
    waiting[1] = 12;
    let terms = AdmissionTerms { max_active: 1_000, ..open_doors().terms(None, start(), start()) };
    let terms = AdmissionTerms { max_active: inside(&bench, performance).await + 12, ..terms };
    assert_eq!(bench.queues.admit(performance, &terms, start()).await.expect("the queue is open"), 12);
    expect(&terms, &mut waiting, 12);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.lanes.iter().map(|lane| lane.tail - lane.head).collect::<Vec<u64>>(), waiting);
    assert!(waiting[1] > 0, "an empty lane accumulates no turns: {waiting:?}");
    assert_eq!(bench.admit_to(performance, &open_doors(), start()).await, waiting.iter().sum::<u64>());
}

async fn inside(bench: &SpeedBench, performance: encore_domain::ids::PerformanceId) -> u32 {
    let snapshot = bench.snapshot(performance).await;
    u32::try_from(snapshot.called.len() + snapshot.active.len()).expect("a few")
}

pub async fn a_clock_that_goes_back_admits_nothing_more(bench: SpeedBench) {
    let queue = bench.queue(30).await;
    let settings = QueueSettings { max_active: 1_000, ..queue_settings() };
    assert_eq!(bench.admit(&queue, &settings, at_secs(10)).await, 5);
    assert_eq!(bench.admit(&queue, &settings, at_secs(5)).await, 0);
    assert_eq!(
        bench.admit(&queue, &settings, at_secs(10)).await,
        0,
        "the five seconds were counted before the clock went back"
    );
    assert_eq!(bench.admit(&queue, &settings, at_ms(10_100)).await, 1);
}
