//! Accepting a call: one question whether the fan may buy anything.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::MockClock;
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{EndReason, EndedToken, LaneNumber, Pace, QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures::{self, at_secs};
use encore_waiting_room::{Ending, QueueStatus};
use support::Mocks;

const NUMBER: LaneNumber = LaneNumber { lane: 0, number: 7 };

fn payload(performance: PerformanceId, admitted_until: Option<Timestamp>) -> QueueTokenPayload {
    QueueTokenPayload {
        performance,
        user: fixtures::id(),
        epoch: 1,
        lane: NUMBER.lane,
        index: NUMBER.number,
        issued_at: fixtures::start(),
        needs_accessible: false,
        admitted_until,
    }
}

/// A queue of nine numbers that has called the numbers up to `head`, of which the last has not accepted.
fn snapshot(head: u64) -> QueueSnapshot {
    QueueSnapshot {
        epoch: 1,
        restored_at: fixtures::start(),
        quiet_until: fixtures::start(),
        draws: false,
        lanes: vec![LaneSnapshot { head, tail: 9, limit: 9, called: head, ..LaneSnapshot::default() }],
        called: HashMap::from([(LaneNumber { lane: 0, number: head }, at_secs(60))]),
        active: HashMap::new(),
        bucket: None,
        reserved: 0,
        flow: QueueFlow::default(),
        inside_accessible: HashSet::new(),
        pace: Pace::default(),
    }
}

/// Mocks of a queue that has called this number.
fn mocks(head: &Arc<AtomicU64>, may_buy: fn() -> Result<bool, Unavailable>) -> Mocks {
    let mut mocks = Mocks::default();
    mocks.stock.may_buy = may_buy;
    let head = Arc::clone(head);
    mocks.queues.expect_snapshot().returning(move |_| Ok(Some(snapshot(head.load(Ordering::SeqCst)))));
    mocks.queues.expect_show().returning(|_, _, _| Ok(vec![]));
    mocks
}

fn clock() -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(fixtures::start);
    Arc::new(clock)
}

#[tokio::test]
async fn a_fan_is_asked_for_once_when_called() {
    let answers: [fn() -> Result<bool, Unavailable>; 2] = [|| Ok(true), || Err(Unavailable::of("redis"))];
    for may_buy in answers {
        let (performance, head) = (fixtures::id(), Arc::new(AtomicU64::new(6)));
        let mut mocks = mocks(&head, may_buy);
        let asked = Arc::clone(&mocks.stock.asked);
        mocks.queues.expect_state().times(3).returning(|_, _| Ok(TokenState::Waiting));
        mocks.queues.expect_state().returning(|_, _| Ok(TokenState::Active { until: at_secs(300) }));
        mocks.queues.expect_accept().times(2).returning(|_, _, _| Ok(TokenState::Active { until: at_secs(300) }));
        let room = mocks.room(performance, clock()).await;
        let waiting = payload(performance, None);
        for _ in 0..3 {
            let position = room.position(&waiting).await.expect("an answer");
            assert!(matches!(position.status, QueueStatus::Waiting(_)), "{:?}", position.status);
            room.renew().await.expect("an answer");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0, "not while the fan waits");

        head.store(NUMBER.number, Ordering::SeqCst);
        room.renew().await.expect("an answer");
        let position = room.position(&waiting).await.expect("an answer");
        assert_eq!(position.status, QueueStatus::Admitted { until: at_secs(300) });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let admitted = QueueTokenPayload { admitted_until: Some(at_secs(300)), ..waiting };
        let position = room.position(&admitted).await.expect("an answer");
        assert_eq!(position.status, QueueStatus::Admitted { until: at_secs(300) });
        assert_eq!(asked.load(Ordering::SeqCst), 1, "not after the admission");
    }
}

#[tokio::test]
async fn who_could_buy_nothing_is_passed_over_and_noted_first() {
    let (performance, head) = (fixtures::id(), Arc::new(AtomicU64::new(NUMBER.number)));
    let mut mocks = mocks(&head, || Ok(false));
    let noted = Arc::new(AtomicU64::new(0));
    let note = Arc::clone(&noted);
    mocks.records.expect_note_ended().times(1).returning(move |_, epoch, tokens| {
        let reason = EndReason::LimitReached;
        assert_eq!((epoch, tokens), (1, &[EndedToken { lane: NUMBER.lane, index: NUMBER.number, reason }][..]));
        note.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    mocks.queues.expect_state().times(1).returning(|_, _| Ok(TokenState::Called { accept_by: at_secs(60) }));
    mocks.queues.expect_end().times(1).returning(move |_, reason, _| {
        assert_eq!(noted.load(Ordering::SeqCst), 1, "noted before it ends");
        Ok(TokenState::Ended(reason))
    });
    // `accept` has no expectation, so the mock panics if it is called.
    let room = mocks.room(performance, clock()).await;
    let position = room.position(&payload(performance, None)).await.expect("an answer");
    assert_eq!(position.status, QueueStatus::Ended(Ending::Token(EndReason::LimitReached)));
}
