//! A stress test of the seats of a venue. Buyers compete for seats while watchers follow the map, and an instance is
//! killed in the middle. The test runs in a process of its own.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod buyers;
mod truth;
mod watchers;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::{Grade, PlannedRow, PlannedSeat, PlannedSection, SeatChart};
use encore_domain::ids::PerformanceId;
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::audit::found;
use encore_tests::ledger;
use encore_tests::seat_truth::settled_map;
use encore_tests::world::World;
use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::buyers::{Buyer, STEPS};
use crate::truth::{SeatLog, assert_agree};
use crate::watchers::{Manner, Watcher};

const BUYERS: usize = 60;
/// The number of watchers of each kind.
const WATCHERS_EACH: usize = 6;
const SEATS: usize = 400;
/// The clock's advance with each step of a buyer.
const STEP: Duration = Duration::from_millis(25);

/// The state that buyers and watchers share.
struct StressTest {
    world: World,
    performance: PerformanceId,
    chart: SeatChart,
    /// The number of steps that all buyers have taken.
    steps: watch::Sender<usize>,
    /// The final map.
    truth: OnceLock<Vec<SeatStatus>>,
    /// Cancelled when the buyers are done and the final map is known.
    over: CancellationToken,
}

impl StressTest {
    async fn new() -> Arc<Self> {
        let (world, chart) = (World::durable(2).await, chart());
        // A short duration, so that many holds expire.
        let terms = |performance| Performance { hold_for: Duration::from_secs(6), seats_per_fan: 6, ..performance };
        let performance = world.performance_in(chart.clone(), None, terms).await;
        let (steps, truth, over) = (watch::Sender::new(0), OnceLock::new(), CancellationToken::new());
        Arc::new(Self { world, performance, chart, steps, truth, over })
    }

    /// Counts a step of a buyer, and advances the clock.
    fn step(&self) {
        self.world.clock.advance(STEP);
        self.steps.send_modify(|steps| *steps += 1);
    }

    /// Waits until the buyers have taken this many steps.
    async fn reaches(&self, steps: usize) {
        self.steps.subscribe().wait_for(|taken| *taken >= steps).await.expect("the sender is alive");
    }
}

/// A chart of four sections of 100 seats each, in two grades.
fn chart() -> SeatChart {
    let seat = |section: u32, row: u32, number: u32| PlannedSeat {
        id: format!("{section}-{row}-{number}"),
        number: number.to_string(),
        grade: u16::from(row >= 3),
        x: f64::from(number),
        y: f64::from(row),
        accessible: false,
    };
    let row = |section, row: u32| PlannedRow {
        label: row.to_string(),
        seats: (1..=20).map(|number| seat(section, row, number)).collect(),
    };
    let section = |section: u32| PlannedSection {
        name: format!("Block {section}"),
        rows: (1..=5).map(|n| row(section, n)).collect(),
        general_admission: None,
    };
    let grade = |name: &str| Grade { name: name.into(), color: String::new() };
    SeatChart::lay_out((1..=4).map(section).collect(), vec![grade("Front"), grade("Rear")])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_watched_map_is_correct_during_and_after_a_stress_test() {
    let stress = StressTest::new().await;
    let world = &stress.world;
    let doomed = world.killable_instance().await;
    let log = SeatLog::begin(&stress).await;

    let mut watching = Vec::new();
    for manner in Manner::ALL {
        for turn in 0..WATCHERS_EACH {
            let watcher = Watcher::begin(&stress, manner, turn, &doomed.channel).await;
            watching.push(tokio::spawn(watcher.watch(Arc::clone(&stress))));
        }
    }
    let mut buyers = Vec::new();
    for turn in 0..BUYERS {
        let home = if turn % 3 == 2 { &doomed.channel } else { world.channel(turn) };
        buyers.push(Buyer::new(&stress, turn, home).await);
    }
    let killing = async {
        stress.reaches(BUYERS * STEPS / 2).await;
        doomed.kill();
    };
    let (all_bought, ()) = tokio::join!(join_all(buyers.into_iter().map(|buyer| buyer.buy(&stress))), killing);
    let mut bought = BTreeSet::new();
    for seat in all_bought.into_iter().flatten() {
        assert!(bought.insert(seat.clone()), "{seat} was sold twice");
    }

    let truth = settled_map(world, stress.performance, &stress.chart).await;
    stress.truth.set(truth.clone()).expect("set once");
    stress.over.cancel();
    let seen = join_all(watching).await.into_iter().map(|seen| seen.expect("a watcher who received the final map"));
    let seen: Vec<_> = seen.collect();

    let sold = stress.chart.seats().iter().zip(&truth).filter(|(_, status)| **status == SeatStatus::Sold);
    assert_eq!(
        sold.map(|(seat, _)| seat.id.clone()).collect::<BTreeSet<_>>(),
        bought,
        "the sold seats are the paid seats"
    );
    assert!(bought.len() > SEATS / 4, "too few seats for a stress test: {} are sold", bought.len());
    assert_agree(&log.end().await, &seen);
    for seen in &seen {
        seen.manner.check(seen);
    }
    ledger::assert_conserved(world.database()).await;
    assert_eq!(found(&world.operator().await, stress.performance).await, []);
}
