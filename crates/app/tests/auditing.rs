//! What the auditor tells of stores that change while it looks. The runtime's clock is paused: it jumps over the time
//! between the looks.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_app::audit::{AuditParts, AuditUseCases};
use encore_app::contexts::PerformanceContexts;
use encore_domain::audit::{AuditReport, Finding, Promise};
use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{SeatLock, SeatState, SeatStock, all_free};
use encore_domain::catalog::{OnSale, Performance};
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Clock, MockAudit, MockCatalog, MockClock, MockDraws, MockPayments, MockQueueRecords, MockQueueStore,
    MockReservations, MockSeatLocks,
};
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{LaneNumber, Queue, QueueSettings};
use encore_port_tests::fixtures::{self, at_secs, id, slots, start};
use encore_waiting_room::{Stock, WaitingRoom, WaitingRoomParts};

/// The auditor reads no stock.
struct UnreadStock;

#[async_trait]
impl Stock for UnreadStock {
    async fn stock(&self, _: PerformanceId) -> Result<SeatStock, Unavailable> {
        panic!("the auditor reads no stock")
    }
}

/// What the stores answer at each look; nothing is left at the end.
#[derive(Clone, Default)]
struct Looks {
    audit: Vec<AuditReport>,
    queues: Vec<Option<QueueSnapshot>>,
    seats: Vec<Option<SeatState>>,
    claims: Vec<Vec<Claim>>,
    overdue: Vec<SeatLock>,
}

/// Answers one after the other.
fn in_turn<T: Send + 'static>(answers: Vec<T>) -> impl Fn() -> T + Send + Sync {
    let answers = Mutex::new(answers.into_iter());
    move || answers.lock().expect("one at a time").next().expect("no more looks than answers")
}

async fn verify(looks: Looks) -> AuditReport {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let performance = Performance { has_queue: true, ..fixtures::performance(concert.id, venue.id) };
    let performance_id = performance.id;
    let settings = QueueSettings { max_active: 1, ..QueueSettings::default() };
    let mut catalog = MockCatalog::new();
    let sale = OnSale { performance: performance_id, opens_at: start(), queue: Some(Queue { settings, draw: None }) };
    catalog.expect_on_sale().returning(move |_| Ok(vec![sale.clone()]));
    catalog.expect_performance().returning(move |_| Ok(Some(performance.clone())));
    catalog.expect_concert().returning(move |_| Ok(Some(concert.clone())));
    catalog.expect_venue().returning(move |_| Ok(Some(venue.clone())));
    let mut audit = MockAudit::new();
    let times = looks.audit.len();
    let sweep = in_turn(looks.audit);
    audit.expect_sweep().times(times).returning(move |_| Ok(sweep()));
    let mut queues = MockQueueStore::new();
    let (times, queue) = (looks.queues.len(), in_turn(looks.queues));
    queues.expect_snapshot().times(times).returning(move |_| Ok(queue()));
    let mut seat_locks = MockSeatLocks::new();
    let (times, seats) = (looks.seats.len(), in_turn(looks.seats));
    // No expectation for `load`: the auditor loads nothing.
    seat_locks.expect_snapshot().times(times).returning(move |_| Ok(seats()));
    let overdue = looks.overdue;
    seat_locks.expect_overdue().returning(move |_, _, _| Ok(overdue.clone()));
    let mut reservations = MockReservations::new();
    let claims = in_turn(looks.claims);
    reservations.expect_claims().returning(move |_| Ok(claims()));
    let mut clock = MockClock::new();
    clock.expect_now().returning(start);
    let catalog = Arc::new(catalog);
    let contexts = PerformanceContexts::new(catalog.clone());
    let (audit, reservations) = (Arc::new(audit), Arc::new(reservations));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let room = WaitingRoom::new(WaitingRoomParts {
        queues: Arc::new(queues),
        records: Arc::new(MockQueueRecords::new()),
        draws: Arc::new(MockDraws::new()),
        payments: Arc::new(MockPayments::new()),
        catalog: catalog.clone(),
        stock: Arc::new(UnreadStock),
        clock: Arc::clone(&clock),
    });
    let seat_locks = Arc::new(seat_locks);
    let audit = AuditUseCases::new(AuditParts { audit, catalog, reservations, seat_locks, room, contexts, clock });
    audit.verify(Some(performance_id)).await.expect("the stores answer")
}

/// The venue with these seats, by index, in this state.
fn context(seats: &[usize], byte: u8) -> SeatState {
    let mut bytes = all_free(&fixtures::small_chart());
    for slot in slots(seats) {
        bytes[slot.0 as usize] = byte;
    }
    SeatState { bytes, version: 1 }
}

fn sold(seats: &[usize]) -> Vec<Claim> {
    slots(seats).into_iter().map(|slot| Claim::sold(slot, id())).collect()
}

fn inside(numbers: u64) -> QueueSnapshot {
    let active = (1..=numbers).map(|number| (LaneNumber { lane: 0, number }, at_secs(60))).collect();
    QueueSnapshot {
        epoch: 1,
        restored_at: start(),
        quiet_until: start(),
        draws: false,
        lanes: vec![LaneSnapshot { head: numbers, tail: numbers, ..LaneSnapshot::default() }],
        called: HashMap::new(),
        active,
        bucket: None,
        reserved: 0,
        flow: QueueFlow::default(),
    }
}

fn overdue_hold() -> AuditReport {
    let mut report = AuditReport::default();
    report.find(Finding::new(Promise::OverdueHold, "reservation 1", "held"));
    report
}

fn broken(report: &AuditReport) -> Vec<(Promise, u64)> {
    let broken = Promise::ALL.into_iter().map(|promise| (promise, report.broken(promise)));
    broken.filter(|(_, findings)| *findings > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_found_one_look_is_enough() {
    let audit = vec![AuditReport::default()];
    let report = verify(Looks {
        audit,
        queues: vec![Some(inside(1))],
        seats: vec![Some(context(&[1], b's'))],
        claims: vec![sold(&[1])],
        ..Looks::default()
    })
    .await;
    assert!(report.is_clean(), "{report:?}");
    let examined = [Promise::OverMaxActive, Promise::QueueJump, Promise::SeatStateDiffers]
        .map(|promise| report.of(promise).map(|found| found.examined));
    assert_eq!(examined, [Some(1), Some(1), Some(26)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_examined_and_not_loaded() {
    let report = verify(Looks {
        audit: vec![AuditReport::default()],
        queues: vec![None],
        seats: vec![None],
        claims: vec![sold(&[1])],
        ..Looks::default()
    })
    .await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.of(Promise::SeatStateDiffers).map(|found| found.examined), Some(0));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_there_again_is_told() {
    let report = verify(Looks {
        audit: vec![AuditReport::default()],
        queues: vec![Some(inside(1)), Some(inside(2))],
        // The payment of seat 1 is shown by the second look; seat 2 is shown as sold and nobody's at both.
        seats: vec![Some(context(&[2], b's')), Some(context(&[1, 2], b's'))],
        claims: vec![sold(&[1]), sold(&[1])],
        ..Looks::default()
    })
    .await;
    assert_eq!(broken(&report), [(Promise::SeatStateDiffers, 1)]);
    let finding = report.findings().next().expect("a finding");
    assert!(finding.subject.ends_with("seat S-A-3/slot 2"), "{finding:?}");
    assert_eq!(report.of(Promise::SeatStateDiffers).map(|found| found.examined), Some(26));
}

#[tokio::test(start_paused = true)]
async fn more_inside_than_the_maximum_at_both_looks_are_told() {
    let report = verify(Looks {
        audit: vec![AuditReport::default()],
        queues: vec![Some(inside(3)), Some(inside(2))],
        seats: vec![None, None],
        claims: vec![vec![], vec![]],
        ..Looks::default()
    })
    .await;
    assert_eq!(broken(&report), [(Promise::OverMaxActive, 1)]);
    let detail = report.findings().next().map(|finding| finding.detail.as_str());
    assert_eq!(detail, Some("0 called and 2 active with a max_active of 1"));
}

#[tokio::test(start_paused = true)]
async fn a_lock_without_a_claim_is_told_when_it_is_overdue() {
    let lock = SeatLock::held(slots(&[1])[0], id(), start());
    let looks = |overdue| Looks {
        audit: vec![AuditReport::default()],
        queues: vec![None, None],
        seats: vec![Some(context(&[1], b'h')); 2],
        claims: vec![vec![]; 2],
        overdue,
    };
    assert_eq!(broken(&verify(looks(vec![lock])).await), [(Promise::SeatStateDiffers, 1)]);
    let once = Looks { queues: vec![None], seats: vec![Some(context(&[1], b'h'))], ..looks(vec![]) };
    assert!(verify(once).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn an_overdue_hold_that_a_sweep_was_about_to_end_is_not_told() {
    let looks = |second| Looks {
        audit: vec![overdue_hold(), second],
        queues: vec![None, None],
        seats: vec![None, None],
        claims: vec![vec![], vec![]],
        ..Looks::default()
    };
    assert!(verify(looks(AuditReport::default())).await.is_clean());
    assert_eq!(broken(&verify(looks(overdue_hold())).await), [(Promise::OverdueHold, 1)]);
}
