use encore_domain::line_snapshot::{LineFlow, Standing};
use encore_domain::ports::Presence;
use encore_domain::queue::{EndReason, LineRate, LineSettings, TokenState};
use std::time::Duration;

use super::{ACTIVE_FOR, EPOCH, number, open_doors, period, waiting};
use crate::SpeedBench;
use crate::fixtures::{at_secs, line_settings, start};

pub async fn counts_what_became_of_them(bench: SpeedBench) {
    let line = bench.line(12).await;
    let performance = line[0].performance;
    bench.end(&line[11], EndReason::Left, start()).await;
    let moved = bench.join_lane(performance, line[10].user, 1, start()).await;
    assert_eq!((moved.lane, moved.index), (1, 1));
    let six = LineSettings { batch: 6, claim_window: ACTIVE_FOR, ..line_settings() };
    let only_general = LineSettings { lanes: six.lanes.clone(), ..six };
    assert_eq!(bench.admit(&line, &only_general, start()).await, 6);
    let mut called = Vec::new();
    for ticket in line.iter().chain([&moved]) {
        if matches!(bench.state(ticket, start()).await, TokenState::Called { .. }) {
            called.push(*ticket);
        }
    }
    for ticket in &called[..4] {
        bench.claim(ticket, start()).await;
    }
    bench.end(&called[0], EndReason::Used, start()).await;
    bench.end(&called[1], EndReason::Left, start()).await;
    let late = start() + ACTIVE_FOR;
    let paused = LineSettings { paused: true, ..line_settings() };
    assert_eq!(bench.admit(&line, &paused, late).await, 0);
    let still = bench.snapshot(performance).await.waiting();
    assert_eq!(bench.abandon_absent(performance, late).await, still);
    let expected =
        LineFlow { joined: 13, called: 6, claimed: 4, no_shows: 2, left: 3, abandoned: still, used: 1, expired: 2 };
    assert_eq!(bench.snapshot(performance).await.flow, expected);
}

pub async fn snapshots_agree_with_states(bench: SpeedBench) {
    let line = bench.line(150).await;
    let performance = line[0].performance;
    // Of the first forty, called at the start: every other comes, every fifth leaves then, the rest miss their call.
    let rate = LineRate { admissions: 1, period: Duration::from_hours(1) };
    let settings = LineSettings { rate, batch: 40, ..open_doors() };
    for number in [2, 17, 64, 65, 71, 72, 73, 128, 129, 150] {
        bench.end(&line[number - 1], EndReason::Left, start()).await;
    }
    assert_eq!(bench.admit(&line, &settings, start()).await, 40);
    for ticket in line[..42].iter().step_by(2) {
        bench.claim(ticket, start()).await;
    }
    for ticket in line[..42].iter().step_by(5) {
        bench.end(ticket, EndReason::Used, at_secs(1)).await;
    }
    bench.report(&line, (1..=100).chain(110..=150), period(1)).await;
    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 9);
    assert_eq!(bench.admit(&line, &LineSettings { batch: 3, ..settings.clone() }, now).await, 0, "the rate is low");
    let now = now + Duration::from_secs(2);
    let faster = LineRate { admissions: 5, period: Duration::from_secs(1) };
    assert_eq!(bench.admit(&line, &LineSettings { rate: faster, batch: 3, ..settings }, now).await, 3);

    let snapshot = bench.snapshot(performance).await;
    let mut ahead = 0;
    for ticket in &line {
        let expected = match bench.state(ticket, now).await {
            TokenState::Waiting => {
                ahead += 1;
                Standing::Waiting { position: ahead }
            }
            TokenState::Called { claim_by } => {
                assert_eq!(snapshot.called.get(&number(ticket.index)), Some(&claim_by));
                Standing::Called
            }
            TokenState::Active { until } => Standing::Active { until },
            TokenState::Ended(_) => Standing::Ended,
        };
        assert_eq!(snapshot.standing(number(ticket.index)), expected, "number {}", ticket.index);
    }
    assert_eq!(snapshot.waiting(), ahead);
    assert_eq!((snapshot.epoch, snapshot.lanes[0].head, snapshot.lanes[0].tail), (EPOCH, 45, 150));
    assert_eq!((snapshot.called.len(), snapshot.active.len(), ahead), (3, 15, 88));
}

pub async fn keeps_performances_apart(bench: SpeedBench) {
    let (evening, matinee) = (bench.line(10).await, bench.line(3).await);
    let ticket = bench.join(matinee[0].performance, evening[0].user, start()).await;
    assert_eq!(ticket.index, 4, "a fan may wait in two lines");
    let untouched = bench.snapshot(matinee[0].performance).await;

    bench.end(&evening[1], EndReason::Left, start()).await;
    assert_eq!(bench.admit(&evening, &line_settings(), start()).await, 5);
    bench.claim(&evening[0], start()).await;
    bench.report(&evening, [8, 9, 10], period(1)).await;
    assert_eq!(bench.abandon_absent(evening[0].performance, period(Presence::PERIODS + 1)).await, 1);
    assert_eq!(bench.snapshot(matinee[0].performance).await, untouched);
    assert!(bench.states(&matinee, period(5)).await.into_iter().all(waiting));

    assert_eq!(bench.admit(&matinee, &line_settings(), start()).await, 4, "its bucket is its own");
    assert_eq!(bench.abandon_absent(matinee[0].performance, period(100)).await, 0);
}
