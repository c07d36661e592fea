//! A stress test on the seats of a venue while many watch its map, and an instance is killed in the middle of it. It has a process of
//! its own.
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
/// How many watch in each manner.
const WATCHERS_EACH: usize = 6;
const SEATS: usize = 400;
/// How far the clock goes with each step of a buyer.
const STEP: Duration = Duration::from_millis(25);

/// What all in the stress test share.
struct StressTest {
    world: World,
    performance: PerformanceId,
    chart: SeatChart,
    /// How many steps the buyers have taken together.
    steps: watch::Sender<usize>,
    /// What the map is in the end.
    truth: OnceLock<Vec<SeatStatus>>,
    /// The stress test is over, and the truth known.
    over: CancellationToken,
}

impl StressTest {
    async fn new() -> Arc<Self> {
        let (world, chart) = (World::durable(2).await, context());
        // Few seconds, so that many holds end by themselves.
        let terms = |performance| Performance { hold_for: Duration::from_secs(6), seats_per_fan: 6, ..performance };
        let performance = world.performance_in(chart.clone(), None, terms).await;
        let (steps, truth, over) = (watch::Sender::new(0), OnceLock::new(), CancellationToken::new());
        Arc::new(Self { world, performance, chart, steps, truth, over })
    }

    /// Somebody has done something, which takes a moment.
    fn step(&self) {
        self.world.clock.advance(STEP);
        self.steps.send_modify(|steps| *steps += 1);
    }

    /// Waits until the buyers have taken so many steps.
    async fn reaches(&self, steps: usize) {
        self.steps.subscribe().wait_for(|taken| *taken >= steps).await.expect("the stress is there");
    }
}

/// Four sections of 100 seats each, in two grades.
fn context() -> SeatChart {
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
async fn every_map_is_right_after_a_storm_however_it_was_watched() {
    let stress = StressTest::new().await;
    let world = &stress.world;
    let doomed = world.mortal().await;
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
    stress.truth.set(truth.clone()).expect("told once");
    stress.over.cancel();
    let seen = join_all(watching).await.into_iter().map(|seen| seen.expect("a watcher who came to the truth"));
    let seen: Vec<_> = seen.collect();

    let sold = stress.chart.seats().iter().zip(&truth).filter(|(_, status)| **status == SeatStatus::Sold);
    assert_eq!(sold.map(|(seat, _)| seat.id.clone()).collect::<BTreeSet<_>>(), bought, "what was paid is what is sold");
    assert!(bought.len() > SEATS / 4, "it was a stress: {} seats are sold", bought.len());
    assert_agree(&log.end().await, &seen);
    for seen in &seen {
        seen.manner.check(seen);
    }
    ledger::assert_conserved(world.database()).await;
    assert_eq!(found(&world.operator().await, stress.performance).await, []);
}
