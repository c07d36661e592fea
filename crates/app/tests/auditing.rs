//! The auditor on stores that change between its passes. The runtime's clock is paused and skips the time between the
//! passes.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_app::audit::{AuditParts, AuditUseCases};
use encore_app::contexts::PerformanceContexts;
use encore_domain::audit::{AuditReport, Finding, Promise};
use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{SeatLock, SeatState, SeatStatus, StockByNeed, all_free};
use encore_domain::catalog::{OnSale, Performance};
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{
    Clock, MockAudit, MockCatalog, MockClock, MockDraws, MockQueueRecords, MockQueueStore, MockReservations,
    MockSeatLocks,
};
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{LaneNumber, Pace, Queue, QueueSettings};
use encore_port_tests::fixtures::{self, at_secs, id, slots, start};
use encore_waiting_room::{Stock, WaitingRoom, WaitingRoomParts};

/// The auditor reads no stock.
struct UnreadStock;

#[async_trait]
impl Stock for UnreadStock {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        panic!("the auditor reads no stock")
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        panic!("the auditor asks for no fan")
    }
}

/// The answers of the stores in each pass. All of them must be used.
#[derive(Clone, Default)]
struct Looks {
    audit: Vec<AuditReport>,
    queues: Vec<Option<QueueSnapshot>>,
    seats: Vec<Option<SeatState>>,
    claims: Vec<Vec<Claim>>,
    overdue: Vec<SeatLock>,
}

/// Returns the answers one after the other.
fn in_turn<T: Send + 'static>(answers: Vec<T>) -> impl Fn() -> T + Send + Sync {
    let answers = Mutex::new(answers.into_iter());
    move || answers.lock().expect("one at a time").next().expect("an answer for each pass")
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
    // `load` has no expectation, because the auditor must not load seats.
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
        catalog: catalog.clone(),
        stock: Arc::new(UnreadStock),
        clock: Arc::clone(&clock),
    });
    let seat_locks = Arc::new(seat_locks);
    let audit = AuditUseCases::new(AuditParts { audit, catalog, reservations, seat_locks, room, contexts, clock });
    audit.verify(Some(performance_id)).await.expect("the stores answer")
}

/// The state of the small chart with these seats, by index, in this state.
fn seat_state(seats: &[usize], status: SeatStatus) -> SeatState {
    let mut statuses = all_free(&fixtures::small_chart());
    for slot in slots(seats) {
        statuses[slot.0 as usize] = Some(status);
    }
    SeatState { statuses, version: 1 }
}

fn sold(seats: &[usize]) -> Vec<Claim> {
    slots(seats).into_iter().map(|slot| Claim::sold(slot, id(), id())).collect()
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
        inside_accessible: HashSet::new(),
        pace: Pace::default(),
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
async fn one_pass_suffices_if_it_finds_nothing() {
    let audit = vec![AuditReport::default()];
    let report = verify(Looks {
        audit,
        queues: vec![Some(inside(1))],
        seats: vec![Some(seat_state(&[1], SeatStatus::Sold))],
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
async fn missing_queues_and_seats_are_neither_examined_nor_loaded() {
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
async fn only_findings_of_both_passes_are_reported() {
    let report = verify(Looks {
        audit: vec![AuditReport::default()],
        queues: vec![Some(inside(1)), Some(inside(2))],
        // The second pass sees the payment of seat 1. Seat 2 is locked as sold without a claim in both passes.
        seats: vec![Some(seat_state(&[2], SeatStatus::Sold)), Some(seat_state(&[1, 2], SeatStatus::Sold))],
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
async fn an_exceeded_max_active_in_both_passes_is_reported() {
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
async fn a_lock_without_a_claim_is_reported_if_it_is_overdue() {
    let lock = SeatLock::held(slots(&[1])[0], id(), id(), start());
    let looks = |overdue| Looks {
        audit: vec![AuditReport::default()],
        queues: vec![None, None],
        seats: vec![Some(seat_state(&[1], SeatStatus::Held)); 2],
        claims: vec![vec![]; 2],
        overdue,
    };
    assert_eq!(broken(&verify(looks(vec![lock])).await), [(Promise::SeatStateDiffers, 1)]);
    let once = Looks { queues: vec![None], seats: vec![Some(seat_state(&[1], SeatStatus::Held))], ..looks(vec![]) };
    assert!(verify(once).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn an_overdue_hold_that_ends_between_the_passes_is_not_reported() {
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
