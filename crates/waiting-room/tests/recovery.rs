//! Calls that find the queue store empty or unavailable.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{JoinRefusal, Joined, MockCatalog, MockClock, QueueLost, TokenRefusal};
use encore_domain::queue::{EndReason, EndedToken, Queue, QueueSettings, QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures;
use encore_waiting_room::{Entrant, WaitingRoom, WaitingRoomError};
use support::Mocks;

const MINUTE: Duration = Duration::from_mins(1);

fn payload(performance: PerformanceId, admitted_until: Option<Timestamp>) -> QueueTokenPayload {
    QueueTokenPayload {
        performance,
        user: fixtures::id(),
        epoch: 1,
        lane: 0,
        index: 7,
        issued_at: fixtures::start(),
        needs_accessible: false,
        admitted_until,
    }
}

async fn room(mocks: Mocks, performance: PerformanceId) -> WaitingRoom {
    let mut clock = MockClock::new();
    clock.expect_now().returning(fixtures::start);
    mocks.room(performance, Arc::new(clock)).await
}

/// Mocks on which a lost queue can be restored, exactly `times` times.
fn restorable(times: usize) -> Mocks {
    let mut mocks = Mocks::default();
    mocks.queues.expect_snapshot().returning(|_| Ok(None));
    mocks.records.expect_begin().times(times).returning(|_, record| Ok(record));
    mocks.draws.expect_find().returning(|_| Ok(None));
    mocks.queues.expect_open().times(times).returning(|_, _| Ok(true));
    mocks
}

#[tokio::test]
async fn a_join_that_finds_the_queue_lost_opens_it_and_is_repeated() {
    let performance = fixtures::id();
    let mut mocks = restorable(1);
    let joined = payload(performance, None);
    let mut answers = vec![Ok(Joined { payload: joined, replaced: None }), Err(PortError::Refused(JoinRefusal::Lost))];
    mocks.queues.expect_join().times(2).returning(move |_| answers.pop().expect("two calls"));
    let room = room(mocks, performance).await;

    let open = room.open_queue(performance).await.expect("the catalog answers").expect("an open queue");

    let fan = Entrant { user: joined.user, lane: 0, needs_accessible: false };
    assert_eq!(room.join(&open, fan, None).await.expect("a token"), joined);
}

#[tokio::test]
async fn a_queue_that_is_lost_again_and_again_is_unavailable_after_four_tries() {
    let performance = fixtures::id();
    let mut mocks = restorable(4);
    mocks.queues.expect_end().times(4).returning(|_, _, _| Err(PortError::Refused(TokenRefusal::Lost)));
    let room = room(mocks, performance).await;

    let outcome = room.end(&payload(performance, None), EndReason::Left).await;

    assert!(matches!(outcome, Err(WaitingRoomError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_tick_and_a_checkpoint_open_no_queue_that_nobody_joined() {
    let performance = fixtures::id();
    let mut mocks = Mocks::default();
    mocks.queues.expect_admit().times(1).returning(|_, _, _| Err(PortError::Refused(QueueLost)));
    mocks.records.expect_find().times(1).returning(|_| Ok(None));
    mocks.queues.expect_snapshot().returning(|_| Ok(None));
    let room = room(mocks, performance).await;

    room.tick().await.expect("there is nobody to call");
    room.checkpoint().await.expect("there is nothing to write");
}

#[tokio::test]
async fn an_admitted_token_stays_authorized_while_the_queue_store_is_unavailable() {
    let performance = fixtures::id();
    let until = fixtures::start() + MINUTE;
    let paid = payload(performance, Some(until));
    let mut mocks = Mocks::default();
    mocks.queues.expect_state().returning(|_, _| Err(Unavailable::of("redis").into()));
    let left = payload(performance, Some(until));
    let end_of = move |payload: &QueueTokenPayload| {
        let ends = [(paid, EndReason::Used), (left, EndReason::Left)];
        Ok(ends.into_iter().find_map(|(ended, reason)| (ended == *payload).then_some(reason)))
    };
    mocks.records.expect_find_ended().returning(end_of);
    let room = room(mocks, performance).await;

    assert_eq!(room.authorize(&payload(performance, Some(until))).await.expect("a deadline"), until);
    for refused in [payload(performance, None), payload(performance, Some(fixtures::start())), paid, left] {
        let outcome = room.authorize(&refused).await;
        assert!(matches!(outcome, Err(WaitingRoomError::Unavailable(_))), "{refused:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn only_an_active_token_is_authorized() {
    let performance = fixtures::id();
    let until = fixtures::start() + MINUTE;
    let mut states = vec![
        TokenState::Ended(EndReason::Used),
        TokenState::Active { until },
        TokenState::Called { accept_by: until },
        TokenState::Waiting,
    ];
    let mut mocks = Mocks::default();
    mocks.queues.expect_state().returning(move |_, _| Ok(states.pop().expect("four calls")));
    let room = room(mocks, performance).await;
    let token = payload(performance, Some(until));

    assert!(matches!(room.authorize(&token).await, Err(WaitingRoomError::NotAdmitted)), "waiting");
    assert!(matches!(room.authorize(&token).await, Err(WaitingRoomError::NotAdmitted)), "called");
    assert_eq!(room.authorize(&token).await.expect("active"), until);
    assert!(matches!(room.authorize(&token).await, Err(WaitingRoomError::TokenEnded(EndReason::Used))), "ended");
}

#[tokio::test]
async fn a_token_that_was_replaced_is_noted_before_the_answer() {
    let performance = fixtures::id();
    let mut mocks = Mocks::default();
    let ended = |index| EndedToken { lane: 0, index, reason: EndReason::Replaced };
    let joined = |index| Joined { payload: payload(performance, None), replaced: Some(ended(index)) };
    let mut joins = vec![joined(8), joined(7)];
    mocks.queues.expect_join().returning(move |_| Ok(joins.pop().expect("two joins")));
    let mut outcomes = vec![(vec![ended(8), ended(7)], Ok(())), (vec![ended(7)], Err(Unavailable::of("postgres")))];
    mocks.records.expect_note_ended().times(2).returning(move |of, epoch, noted| {
        let (expected, outcome) = outcomes.pop().expect("two notes");
        assert_eq!((of, epoch, noted), (performance, 1, expected.as_slice()), "what was not written is written later");
        outcome
    });
    let room = room(mocks, performance).await;
    let open = room.open_queue(performance).await.expect("the catalog answers").expect("an open queue");
    let fan = Entrant { user: payload(performance, None).user, lane: 0, needs_accessible: false };

    let outcome = room.join(&open, fan, None).await;
    assert!(matches!(outcome, Err(WaitingRoomError::Unavailable(_))), "{outcome:?}");
    room.join(&open, fan, None).await.expect("both are noted");
}

#[tokio::test]
async fn hold_tries_are_limited_by_an_instance_that_has_not_read_the_queue_yet() {
    let performance = fixtures::id();
    let token = payload(performance, Some(fixtures::start() + MINUTE));
    let mut mocks = Mocks::default();
    let mut left = vec![false, true];
    mocks.queues.expect_spend_hold_try().times(2).returning(move |_, tries, _| {
        assert_eq!(tries, 3);
        Ok(left.pop().expect("two tries"))
    });
    mocks.queues.expect_return_hold_try().times(1).returning(|_, _| Ok(()));
    let mut catalog = MockCatalog::new();
    let settings = QueueSettings { hold_tries: Some(3), ..QueueSettings::default() };
    catalog.expect_queue().returning(move |_| Ok(Some(Queue { settings: settings.clone(), draw: None })));
    let mut clock = MockClock::new();
    clock.expect_now().returning(fixtures::start);
    let room = mocks.room_on(catalog, Arc::new(clock));

    room.spend_hold_try(&token).await.expect("a try is left");
    room.return_hold_try(&token).await.expect("the queue answers");
    let outcome = room.spend_hold_try(&token).await;
    assert!(matches!(outcome, Err(WaitingRoomError::HoldTriesExhausted { tries: 3 })), "{outcome:?}");
}

#[tokio::test]
async fn hold_tries_of_a_queue_that_cannot_be_looked_up_are_unavailable() {
    let mut catalog = MockCatalog::new();
    catalog.expect_queue().returning(|_| Err(Unavailable::of("postgres")));
    let room = Mocks::default().room_on(catalog, Arc::new(MockClock::new()));
    let outcome = room.spend_hold_try(&payload(fixtures::id(), None)).await;
    assert!(matches!(outcome, Err(WaitingRoomError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_instance_whose_clock_is_wrong_calls_and_ends_nobody() {
    let performance = fixtures::id();
    // No call of the queue store is expected, as nobody reads the queue here.
    let room = room(Mocks::default(), performance).await;
    room.renew().await.expect("there is nothing to renew");
    room.report_present().await.expect("there is nobody to report");
}
