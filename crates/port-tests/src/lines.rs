//! The cases of [`Lines`](encore_domain::ports::Lines).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;
use std::time::Duration;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::{LineSnapshot, Standing};
use encore_domain::ports::Presence;
use encore_domain::queue::{EndReason, LineRate, LineSettings, QueueTicket, TokenState};
use encore_domain::time::Timestamp;
use futures::stream::{self, StreamExt};

use crate::SpeedBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_ms, at_secs, id, just_before, line_settings, start};

/// Stamps the cases of the port `Lines`.
#[macro_export]
macro_rules! lines {
    ($($with:tt)+) => {
        $crate::suite! { lines [
            joins_in_order,
            joins_once,
            joins_under_contention,
            joins_again_at_the_end,
            has_no_snapshot_before_the_first_join,
            admits_in_order,
            admits_by_the_rate,
            a_change_of_period_admits_nobody_early,
            admits_up_to_the_cap,
            admits_under_contention,
            admits_nobody_while_paused,
            a_clock_that_goes_back_admits_nothing_more,
            claims_a_call,
            claims_only_a_call,
            a_missed_call_is_abandoned,
            an_active_token_expires,
            ends_a_waiting_number,
            ends_an_active_number,
            a_ticket_of_another_epoch_has_ended,
            a_number_never_given_out_has_ended,
            abandons_who_is_away,
            keeps_who_was_seen_later,
            reports_presence_in_bulk,
            snapshots_agree_with_states,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

const EPOCH: i64 = 1_780_308_000_123;
const ACTIVE_FOR: Duration = Duration::from_mins(5);
/// How many joins of a long line are under way at a time.
const JOINS_IN_FLIGHT: usize = 64;
/// How many numbers one report carries.
const BULK: u64 = 10_000;

/// Admits everybody who waits, so that a case can look at something else.
fn open_doors() -> LineSettings {
    LineSettings { batch: 1_000, cap: 1_000, ..line_settings() }
}

fn seen_at(now: Timestamp) -> Presence {
    Presence { now, grace: line_settings().grace }
}

/// A moment this many presence periods after the start.
fn period(periods: i64) -> Timestamp {
    let period_ms = seen_at(start()).period_ms();
    at_ms(u64::try_from(period_ms * periods).expect("after the start"))
}

fn waiting(state: TokenState) -> bool {
    state == TokenState::Waiting
}

impl SpeedBench {
    async fn join(&self, performance: PerformanceId, user: UserId, now: Timestamp) -> QueueTicket {
        self.lines.join(performance, user, seen_at(now), EPOCH).await.expect("the store answers")
    }

    /// A new line in which this many fans wait since the start. Ticket `n` is at index `n - 1`.
    async fn line(&self, length: u64) -> Vec<QueueTicket> {
        let performance = id();
        let mut tickets = Vec::new();
        for number in 1..=length {
            let ticket = self.join(performance, id(), start()).await;
            assert_eq!(ticket.number, number);
            tickets.push(ticket);
        }
        tickets
    }

    async fn admit(&self, line: &[QueueTicket], settings: &LineSettings, now: Timestamp) -> u64 {
        self.lines.admit(line[0].performance, settings, now).await.expect("the store answers")
    }

    async fn state(&self, ticket: &QueueTicket, now: Timestamp) -> TokenState {
        self.lines.state(ticket, now).await.expect("the store answers")
    }

    async fn states(&self, tickets: &[QueueTicket], now: Timestamp) -> Vec<TokenState> {
        let mut states = Vec::new();
        for ticket in tickets {
            states.push(self.state(ticket, now).await);
        }
        states
    }

    /// The numbers that do not wait at `now`.
    async fn past_waiting(&self, tickets: &[QueueTicket], now: Timestamp) -> Vec<u64> {
        let states = self.states(tickets, now).await;
        tickets.iter().zip(states).filter(|(_, state)| !waiting(*state)).map(|(ticket, _)| ticket.number).collect()
    }

    async fn claim(&self, ticket: &QueueTicket, now: Timestamp) -> TokenState {
        self.lines.claim(ticket, ACTIVE_FOR, now).await.expect("the store answers")
    }

    async fn end(&self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> TokenState {
        self.lines.end(ticket, reason, now).await.expect("the store answers")
    }

    async fn snapshot(&self, performance: PerformanceId) -> LineSnapshot {
        self.lines.snapshot(performance).await.expect("the store answers").expect("somebody has joined")
    }

    async fn report(&self, line: &[QueueTicket], numbers: &[u64], now: Timestamp) {
        let reported = self.lines.report_present(line[0].performance, numbers, seen_at(now)).await;
        reported.expect("the store answers");
    }

    async fn abandon_absent(&self, performance: PerformanceId, now: Timestamp) -> u64 {
        self.lines.abandon_absent(performance, seen_at(now)).await.expect("the store answers")
    }
}

pub async fn joins_in_order(bench: SpeedBench) {
    let performance = id();
    for (number, new_epoch) in [(1, EPOCH), (2, EPOCH + 5), (3, EPOCH - 5)] {
        let user = id();
        let ticket = bench.lines.join(performance, user, seen_at(start()), new_epoch).await;
        let ticket = ticket.expect("the store answers");
        assert_eq!(ticket, QueueTicket { performance, user, epoch: EPOCH, number });
        assert_eq!(bench.state(&ticket, start()).await, TokenState::Waiting);
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.epoch, snapshot.head, snapshot.tail, snapshot.waiting()), (EPOCH, 0, 3, 3));
}

pub async fn joins_once(bench: SpeedBench) {
    let line = bench.line(2).await;
    let again = async |now| bench.join(line[0].performance, line[0].user, now).await;
    assert_eq!(again(at_secs(1)).await, line[0], "waiting");
    bench.admit(&line, &open_doors(), at_secs(1)).await;
    assert_eq!(again(at_secs(1)).await, line[0], "called");
    bench.claim(&line[0], at_secs(1)).await;
    assert_eq!(again(at_secs(2)).await, line[0], "active");
    assert_eq!(bench.snapshot(line[0].performance).await.tail, 2);
    assert_eq!(bench.join(line[0].performance, id(), at_secs(2)).await.number, 3);
}

pub async fn joins_under_contention(bench: SpeedBench) {
    let performance: PerformanceId = id();
    let tickets = at_once((0..100).map(|n| {
        let (lines, user) = (Arc::clone(&bench.lines), id());
        async move { lines.join(performance, user, seen_at(start()), EPOCH + n).await.expect("the store answers") }
    }))
    .await;

    let mut numbers: Vec<u64> = tickets.iter().map(|ticket| ticket.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<u64>>());
    assert!(tickets.iter().all(|ticket| ticket.epoch == tickets[0].epoch), "one line has one epoch");
    assert!(tickets.iter().all(|ticket| ticket.performance == performance));
    assert_eq!(bench.snapshot(performance).await.waiting(), 100);
}

pub async fn joins_again_at_the_end(bench: SpeedBench) {
    let line = bench.line(5).await;
    let performance = line[0].performance;
    bench.admit(&line[..3], &LineSettings { cap: 3, ..open_doors() }, start()).await;
    bench.claim(&line[0], start()).await;
    bench.claim(&line[1], start()).await;
    bench.end(&line[0], EndReason::Used, at_secs(1)).await;
    bench.end(&line[3], EndReason::Left, at_secs(1)).await;

    // The deadlines of numbers 2 (active) and 3 (called) are over by then, though no admission has ended them.
    let late = start() + ACTIVE_FOR;
    let ended = [
        (line[3], at_secs(2), EndReason::Left),
        (line[0], at_secs(2), EndReason::Used),
        (line[2], late, EndReason::Abandoned),
        (line[1], late, EndReason::Expired),
    ];
    for (number, (before, now, reason)) in (6..).zip(ended) {
        let again = bench.join(performance, before.user, now).await;
        assert_eq!(again, QueueTicket { number, ..before });
        assert_eq!(bench.state(&again, now).await, TokenState::Waiting);
        assert_eq!(bench.state(&before, now).await, TokenState::Ended(reason));
    }
    assert_eq!(bench.state(&line[4], late).await, TokenState::Waiting);
}

pub async fn has_no_snapshot_before_the_first_join(bench: SpeedBench) {
    let performance = id();
    assert_eq!(bench.lines.snapshot(performance).await.expect("the store answers"), None);
    assert_eq!(bench.lines.admit(performance, &open_doors(), start()).await.expect("the store answers"), 0);
    bench.lines.report_present(performance, &[1], seen_at(start())).await.expect("the store answers");
    assert_eq!(bench.abandon_absent(performance, start()).await, 0);
    assert_eq!(bench.lines.snapshot(performance).await.expect("the store answers"), None);

    bench.join(performance, id(), start()).await;
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.head, snapshot.tail), (0, 1));
    assert!(snapshot.called.is_empty() && snapshot.active.is_empty());
}

pub async fn admits_in_order(bench: SpeedBench) {
    let line = bench.line(200).await;
    let settings = LineSettings { batch: 4, ..line_settings() };
    bench.end(&line[1], EndReason::Left, start()).await;
    for ticket in &line[3..150] {
        bench.end(ticket, EndReason::Left, start()).await;
    }

    assert_eq!(bench.admit(&line, &settings, at_secs(1)).await, 4);
    let called = TokenState::Called { claim_by: at_secs(1) + settings.claim_window };
    for number in [1, 3, 151, 152] {
        assert_eq!(bench.state(&line[number - 1], at_secs(1)).await, called, "{number}");
    }
    let left = TokenState::Ended(EndReason::Left);
    for number in [2, 4, 100, 150] {
        assert_eq!(bench.state(&line[number - 1], at_secs(1)).await, left, "{number}");
    }
    assert!(bench.states(&line[152..], at_secs(1)).await.into_iter().all(waiting));
    assert_eq!(bench.snapshot(line[0].performance).await.head, 152);

    for ticket in &line[152..] {
        bench.end(ticket, EndReason::Left, at_secs(1)).await;
    }
    assert_eq!(bench.admit(&line, &settings, at_secs(10)).await, 0, "nobody is left");
    let newcomer = bench.join(line[0].performance, id(), at_secs(10)).await;
    assert_eq!(newcomer.number, 201);
    assert_eq!(bench.admit(&line, &settings, at_secs(10)).await, 1);
    let called = TokenState::Called { claim_by: at_secs(10) + settings.claim_window };
    assert_eq!(bench.state(&newcomer, at_secs(10)).await, called);
}

pub async fn admits_by_the_rate(bench: SpeedBench) {
    let line = bench.line(60).await;
    let settings = LineSettings { cap: 1_000, claim_window: Duration::from_hours(1), ..line_settings() };
    assert_eq!(bench.admit(&line, &settings, at_ms(500)).await, 5, "a batch at first");
    assert_eq!(bench.admit(&line, &settings, at_ms(500)).await, 0);
    assert_eq!(bench.admit(&line, &settings, at_ms(599)).await, 0);
    assert_eq!(bench.admit(&line, &settings, at_ms(600)).await, 1, "10 a second are one every 100 ms");

    let mut called = 0;
    for ms in (600..=2_600).step_by(7) {
        called += bench.admit(&line, &settings, at_ms(ms)).await;
    }
    assert_eq!(called, 19, "asking often admits no more, and the last of 20 is due at 2,600 ms");
    assert_eq!(bench.admit(&line, &settings, at_ms(2_600)).await, 1);
    assert_eq!(bench.admit(&line, &settings, at_secs(60)).await, 5, "never more than a batch");
    let expected: Vec<u64> = (1..=31).collect();
    assert_eq!(bench.past_waiting(&line, at_secs(60)).await, expected);
}

pub async fn a_change_of_period_admits_nobody_early(bench: SpeedBench) {
    let line = bench.line(60).await;
    let slow = LineRate { admissions: 20, period: Duration::from_secs(10) };
    let same = LineRate { admissions: 2, period: Duration::from_secs(1) };
    let settings = |rate| LineSettings { rate, batch: 20, cap: 1_000, ..line_settings() };
    assert_eq!(bench.admit(&line, &settings(slow), start()).await, 20, "a batch at first");
    assert_eq!(bench.admit(&line, &settings(slow), at_ms(250)).await, 0);
    assert_eq!(bench.admit(&line, &settings(same), at_ms(499)).await, 0);
    assert_eq!(bench.admit(&line, &settings(same), at_ms(500)).await, 1, "one every 500 ms, however it is said");
    assert_eq!(bench.admit(&line, &settings(slow), at_secs(5)).await, 9);
}

pub async fn admits_up_to_the_cap(bench: SpeedBench) {
    let line = bench.line(10).await;
    let settings = LineSettings { batch: 100, cap: 3, ..line_settings() };
    assert_eq!(bench.admit(&line, &settings, start()).await, 3);
    assert_eq!(bench.admit(&line, &settings, start()).await, 0, "three are called");
    bench.claim(&line[0], start()).await;
    assert_eq!(bench.admit(&line, &settings, at_secs(1)).await, 0, "one is active, two are called");
    bench.end(&line[0], EndReason::Used, at_secs(1)).await;
    assert_eq!(bench.admit(&line, &settings, at_secs(1)).await, 1, "an active place was freed");
    bench.end(&line[1], EndReason::Left, at_secs(1)).await;
    assert_eq!(bench.admit(&line, &settings, at_secs(1)).await, 1, "a called place was freed");

    let lower = LineSettings { cap: 2, ..settings };
    assert_eq!(bench.admit(&line, &lower, at_secs(2)).await, 0);
    bench.end(&line[2], EndReason::Left, at_secs(2)).await;
    assert_eq!(bench.admit(&line, &lower, at_secs(2)).await, 0, "two are still inside");
    bench.end(&line[3], EndReason::Left, at_secs(2)).await;
    assert_eq!(bench.admit(&line, &lower, at_secs(2)).await, 1);
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!((snapshot.head, snapshot.called.len() + snapshot.active.len()), (6, 2));
}

pub async fn admits_under_contention(bench: SpeedBench) {
    let line = bench.line(100).await;
    let settings = LineSettings { batch: 7, ..line_settings() };
    let performance = line[0].performance;
    let answers = at_once((0..TWENTY).map(|_| {
        let lines = Arc::clone(&bench.lines);
        async move { lines.admit(performance, &settings, at_secs(1)).await.expect("the store answers") }
    }))
    .await;
    assert_eq!(answers.iter().sum::<u64>(), 7);
    assert_eq!(bench.past_waiting(&line, at_secs(1)).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(bench.snapshot(performance).await.head, 7);
}

pub async fn admits_nobody_while_paused(bench: SpeedBench) {
    let line = bench.line(4).await;
    let running = LineSettings { batch: 2, ..line_settings() };
    let paused = LineSettings { paused: true, ..running };
    assert_eq!(bench.admit(&line, &paused, start()).await, 0);
    assert_eq!(bench.admit(&line, &running, start()).await, 2);
    bench.claim(&line[0], start()).await;

    let late = start() + ACTIVE_FOR;
    assert_eq!(bench.admit(&line, &paused, late).await, 0);
    let snapshot = bench.snapshot(line[0].performance).await;
    assert!(snapshot.called.is_empty() && snapshot.active.is_empty(), "what is due has ended: {snapshot:?}");
    let (expired, abandoned) = (TokenState::Ended(EndReason::Expired), TokenState::Ended(EndReason::Abandoned));
    let expected = [expired, abandoned, TokenState::Waiting, TokenState::Waiting];
    assert_eq!(bench.states(&line, late).await, expected);
    assert_eq!(bench.admit(&line, &running, late).await, 2);
}

pub async fn a_clock_that_goes_back_admits_nothing_more(bench: SpeedBench) {
    let line = bench.line(30).await;
    let settings = LineSettings { cap: 1_000, ..line_settings() };
    assert_eq!(bench.admit(&line, &settings, at_secs(10)).await, 5);
    assert_eq!(bench.admit(&line, &settings, at_secs(5)).await, 0);
    assert_eq!(bench.admit(&line, &settings, at_secs(10)).await, 0, "the five seconds were counted before");
    assert_eq!(bench.admit(&line, &settings, at_ms(10_100)).await, 1);
}

pub async fn claims_a_call(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.admit(&line, &open_doors(), start()).await;
    let active = TokenState::Active { until: at_secs(5) + ACTIVE_FOR };
    assert_eq!(bench.claim(&line[0], at_secs(5)).await, active);
    assert_eq!(bench.claim(&line[0], at_secs(9)).await, active);
    assert_eq!(bench.state(&line[0], at_secs(9)).await, active);

    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!(snapshot.active.into_iter().collect::<Vec<_>>(), [(1, at_secs(5) + ACTIVE_FOR)]);
    let claim_by = start() + open_doors().claim_window;
    assert_eq!(snapshot.called.into_iter().collect::<Vec<_>>(), [(2, claim_by)]);
}

pub async fn claims_only_a_call(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.end(&line[1], EndReason::Left, start()).await;
    let before = bench.snapshot(line[0].performance).await;
    assert_eq!(bench.claim(&line[0], start()).await, TokenState::Waiting);
    assert_eq!(bench.claim(&line[1], start()).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.snapshot(line[0].performance).await, before);
}

pub async fn a_missed_call_is_abandoned(bench: SpeedBench) {
    let line = bench.line(2).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    let claim_by = start() + settings.claim_window;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    assert_eq!(bench.state(&line[0], just_before(claim_by)).await, TokenState::Called { claim_by });
    assert_eq!(bench.admit(&line, &settings, just_before(claim_by)).await, 0);
    assert_eq!(bench.state(&line[0], claim_by).await, abandoned);
    assert_eq!(bench.claim(&line[0], claim_by).await, abandoned);
    assert_eq!(bench.end(&line[0], EndReason::Left, claim_by).await, abandoned);

    assert_eq!(bench.admit(&line, &settings, claim_by).await, 1);
    let next = TokenState::Called { claim_by: claim_by + settings.claim_window };
    assert_eq!(bench.states(&line, claim_by).await, [abandoned, next]);
}

pub async fn an_active_token_expires(bench: SpeedBench) {
    let line = bench.line(2).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    bench.claim(&line[0], at_secs(1)).await;
    let until = at_secs(1) + ACTIVE_FOR;
    let expired = TokenState::Ended(EndReason::Expired);
    assert_eq!(bench.state(&line[0], just_before(until)).await, TokenState::Active { until });
    assert_eq!(bench.admit(&line, &settings, just_before(until)).await, 0);
    assert_eq!(bench.state(&line[0], until).await, expired);
    assert_eq!(bench.claim(&line[0], until).await, expired);
    assert_eq!(bench.end(&line[0], EndReason::Used, until).await, expired);

    assert_eq!(bench.admit(&line, &settings, until).await, 1);
    let next = TokenState::Called { claim_by: until + settings.claim_window };
    assert_eq!(bench.states(&line, until).await, [expired, next]);
}

pub async fn ends_a_waiting_number(bench: SpeedBench) {
    let line = bench.line(5).await;
    let left = TokenState::Ended(EndReason::Left);
    assert_eq!(bench.end(&line[1], EndReason::Left, start()).await, left);
    assert_eq!(bench.end(&line[1], EndReason::Abandoned, start()).await, left);

    let snapshot = bench.snapshot(line[0].performance).await;
    let standings: Vec<Standing> = (1..=5).map(|number| snapshot.standing(number)).collect();
    let at = |position| Standing::Waiting { position };
    assert_eq!(standings, [at(1), Standing::Ended, at(2), at(3), at(4)]);
    assert_eq!(snapshot.waiting(), 4);
    assert_eq!(bench.admit(&line, &open_doors(), at_secs(1)).await, 4);
    assert_eq!(bench.state(&line[1], at_secs(1)).await, left);
    assert!(!bench.snapshot(line[0].performance).await.called.contains_key(&2));
}

pub async fn ends_an_active_number(bench: SpeedBench) {
    let line = bench.line(3).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    bench.claim(&line[0], start()).await;
    let used = TokenState::Ended(EndReason::Used);
    assert_eq!(bench.end(&line[0], EndReason::Used, at_secs(1)).await, used);
    assert_eq!(bench.end(&line[0], EndReason::Left, at_secs(2)).await, used);
    assert_eq!(bench.claim(&line[0], at_secs(2)).await, used);
    assert_eq!(bench.state(&line[0], start() + ACTIVE_FOR).await, used, "though its deadline has passed since");

    assert_eq!(bench.admit(&line, &settings, at_secs(2)).await, 1);
    assert_eq!(bench.end(&line[1], EndReason::Left, at_secs(2)).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.admit(&line, &settings, at_secs(2)).await, 1);
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!(snapshot.called.into_keys().collect::<Vec<_>>(), [3]);
    assert!(snapshot.active.is_empty());
}

pub async fn a_ticket_of_another_epoch_has_ended(bench: SpeedBench) {
    let line = bench.line(3).await;
    bench.admit(&line, &LineSettings { batch: 2, ..line_settings() }, start()).await;
    bench.claim(&line[0], start()).await;
    let (before, states) = (bench.snapshot(line[0].performance).await, bench.states(&line, start()).await);

    let reset = TokenState::Ended(EndReason::Reset);
    for ticket in &line {
        for epoch in [EPOCH - 1, EPOCH + 1] {
            let stranger = QueueTicket { epoch, ..*ticket };
            assert_eq!(bench.state(&stranger, start()).await, reset);
            assert_eq!(bench.claim(&stranger, start()).await, reset);
            assert_eq!(bench.end(&stranger, EndReason::Left, start()).await, reset);
        }
    }
    assert_eq!(bench.snapshot(line[0].performance).await, before);
    assert_eq!(bench.states(&line, start()).await, states);
}

pub async fn a_number_never_given_out_has_ended(bench: SpeedBench) {
    let line = bench.line(2).await;
    let over_the_tail = QueueTicket { number: 3, ..line[0] };
    let of_no_line = QueueTicket { performance: id(), ..line[0] };
    let reset = TokenState::Ended(EndReason::Reset);
    for ticket in [over_the_tail, of_no_line] {
        assert_eq!(bench.state(&ticket, start()).await, reset);
        assert_eq!(bench.claim(&ticket, start()).await, reset);
        assert_eq!(bench.end(&ticket, EndReason::Left, start()).await, reset);
    }
    let third = bench.join(line[0].performance, id(), start()).await;
    assert_eq!(bench.state(&third, start()).await, TokenState::Waiting, "its number was not ended ahead");
}

pub async fn abandons_who_is_away(bench: SpeedBench) {
    let line = bench.line(6).await;
    let performance = line[0].performance;
    bench
        .admit(&line, &LineSettings { batch: 1, claim_window: Duration::from_hours(1), ..line_settings() }, start())
        .await;
    bench.claim(&line[0], start()).await;
    // Number 3 is reported, number 5 joins again; 2, 4 and 6 are away.
    bench.report(&line, &[3], period(1)).await;
    assert_eq!(bench.join(performance, line[4].user, period(1)).await, line[4]);

    let last_moment = just_before(period(Presence::PERIODS + 1));
    assert_eq!(bench.abandon_absent(performance, last_moment).await, 0);
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 3);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 0, "counted once");
    let states = bench.states(&line, gone_at).await;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    let active = TokenState::Active { until: start() + ACTIVE_FOR };
    assert_eq!(states, [active, abandoned, TokenState::Waiting, abandoned, TokenState::Waiting, abandoned]);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.waiting(), snapshot.standing(5)), (2, Standing::Waiting { position: 2 }));

    assert_eq!(bench.admit(&line, &open_doors(), gone_at).await, 2);
    assert_eq!(bench.abandon_absent(performance, period(100)).await, 0, "nobody waits");
}

pub async fn keeps_who_was_seen_later(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.report(&line, &[1], period(Presence::PERIODS + 2)).await;
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(line[0].performance, gone_at).await, 1);
    let states = bench.states(&line, gone_at).await;
    assert_eq!(states, [TokenState::Waiting, TokenState::Ended(EndReason::Abandoned)]);
}

pub async fn reports_presence_in_bulk(bench: SpeedBench) {
    let performance: PerformanceId = id();
    let joins = (0..=BULK).map(|_| bench.lines.join(performance, id(), seen_at(start()), EPOCH));
    let tickets: Vec<QueueTicket> = stream::iter(joins)
        .buffer_unordered(JOINS_IN_FLIGHT)
        .map(|ticket| ticket.expect("the store answers"))
        .collect()
        .await;
    let absent = BULK / 2;
    let numbers: Vec<u64> = (1..=BULK + 1).filter(|number| *number != absent).collect();
    bench.report(&tickets, &numbers, period(2)).await;

    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 1);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.waiting(), BULK);
    assert_eq!(snapshot.standing(absent), Standing::Ended);
    assert_eq!(snapshot.standing(BULK + 1), Standing::Waiting { position: BULK });
    assert_eq!(bench.abandon_absent(performance, period(Presence::PERIODS + 3)).await, BULK);
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
    bench.report(&line, &(1..=100).chain(110..=150).collect::<Vec<u64>>(), period(1)).await;
    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 9);
    assert_eq!(bench.admit(&line, &LineSettings { batch: 3, ..settings }, now).await, 0, "the rate is low");
    let faster = LineSettings { rate: LineRate { admissions: 5, period: Duration::from_secs(1) }, ..settings };
    let calls = bench.admit(&line, &LineSettings { batch: 3, ..faster }, now + Duration::from_secs(2)).await;
    assert_eq!(calls, 3);

    let now = now + Duration::from_secs(2);
    let snapshot = bench.snapshot(performance).await;
    let mut ahead = 0;
    for ticket in &line {
        let expected = match bench.state(ticket, now).await {
            TokenState::Waiting => {
                ahead += 1;
                Standing::Waiting { position: ahead }
            }
            TokenState::Called { claim_by } => {
                assert_eq!(snapshot.called.get(&ticket.number), Some(&claim_by));
                Standing::Called
            }
            TokenState::Active { until } => Standing::Active { until },
            TokenState::Ended(_) => Standing::Ended,
        };
        assert_eq!(snapshot.standing(ticket.number), expected, "number {}", ticket.number);
    }
    assert_eq!(snapshot.waiting(), ahead);
    assert_eq!((snapshot.epoch, snapshot.head, snapshot.tail), (EPOCH, 45, 150));
    assert_eq!((snapshot.called.len(), snapshot.active.len(), ahead), (3, 15, 88));
}

pub async fn keeps_performances_apart(bench: SpeedBench) {
    let (evening, matinee) = (bench.line(10).await, bench.line(3).await);
    let fan = evening[0].user;
    let ticket = bench.join(matinee[0].performance, fan, start()).await;
    assert_eq!(ticket.number, 4, "a fan may wait in two lines");
    let untouched = bench.snapshot(matinee[0].performance).await;

    bench.end(&evening[1], EndReason::Left, start()).await;
    assert_eq!(bench.admit(&evening, &line_settings(), start()).await, 5);
    bench.claim(&evening[0], start()).await;
    bench.report(&evening, &[8, 9, 10], period(1)).await;
    assert_eq!(bench.abandon_absent(evening[0].performance, period(Presence::PERIODS + 1)).await, 1);
    assert_eq!(bench.snapshot(matinee[0].performance).await, untouched);
    assert!(bench.states(&matinee, period(5)).await.into_iter().all(waiting));

    assert_eq!(bench.admit(&matinee, &line_settings(), start()).await, 4, "its bucket is its own");
    assert_eq!(bench.abandon_absent(matinee[0].performance, period(100)).await, 0);
}
