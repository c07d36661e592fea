//! Ten thousand fans wait on open streams while one of two instances is killed. The test runs in a process of its own.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use encore_domain::catalog::seat_chart::{Grade, PlannedRow, PlannedSeat, PlannedSection, SeatChart};
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueRate, QueueSettings};
use encore_proto::queue::v1::WatchPositionResponse;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, next_status};
use encore_tests::world::{World, until};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Channel;

const FANS: usize = 10_000;
/// The number of fans who are admitted before the clock advances.
const BATCH: usize = 500;
/// The number of concurrent calls during set-up.
const AT_ONCE: usize = 100;
/// The clock's advance between two checks.
const STEP: Duration = Duration::from_millis(20);

/// All fans are admitted, in batches. No deadline passes during the test.
fn in_waves() -> QueueSettings {
    let hours = Duration::from_hours(2);
    QueueSettings {
        rate: QueueRate { admissions: 5_000, period: Duration::from_secs(1) },
        batch: 500,
        max_active: 10_000,
        accept_window: hours,
        active_duration: hours,
        grace: hours,
        ..QueueSettings::default()
    }
}

/// A chart with one seat per fan.
fn chart() -> SeatChart {
    let seat = |section: u32, row: u32, number: u32| PlannedSeat {
        id: format!("{section}-{row}-{number}"),
        number: number.to_string(),
        grade: u16::from(row >= 10),
        x: f64::from(number),
        y: f64::from(row),
        accessible: false,
    };
    let row = |section, row: u32| PlannedRow {
        label: row.to_string(),
        seats: (1..=50).map(|number| seat(section, row, number)).collect(),
    };
    let section = |section: u32| PlannedSection {
        name: format!("Block {section}"),
        rows: (0..20).map(|n| row(section, n)).collect(),
        general_admission: None,
    };
    let grade = |name: &str| Grade { name: name.into(), color: String::new() };
    SeatChart::lay_out((0..10).map(section).collect(), vec![grade("Front"), grade("Rear")])
}

/// The progress of all fans.
#[derive(Default)]
struct Progress {
    /// The number of fans whose stream has shown their admission.
    admitted: AtomicUsize,
    /// The number of fans who have received a status from the second instance after the first was killed.
    moved: AtomicUsize,
    over: CancellationToken,
}

impl Progress {
    fn admitted(&self) -> usize {
        self.admitted.load(Ordering::SeqCst)
    }

    fn moved(&self) -> usize {
        self.moved.load(Ordering::SeqCst)
    }
}

/// A fan with an open stream.
struct Watching {
    fan: Fan,
    frames: Streaming<WatchPositionResponse>,
    /// The first status of the stream.
    first: QueueStatus,
    /// The instance to reconnect to if this instance is killed.
    elsewhere: Option<Channel>,
}

/// The statuses that one fan received, by stream.
type Statuses = Vec<Vec<QueueStatus>>;

impl Watching {
    async fn begin(fan: Fan, elsewhere: Option<Channel>) -> Self {
        let mut frames = fan.watch().await.expect("a stream");
        let first = next_status(&mut frames).await;
        Self { fan, frames, first, elsewhere }
    }

    /// Receives statuses until the end of the test.
    async fn listen(self, progress: Arc<Progress>) -> Statuses {
        let Self { fan, mut frames, first, elsewhere } = self;
        let mut here = Receiver { progress: &progress, is_admitted: false, statuses: Vec::new() };
        here.receive(first);
        if here.listen(&mut frames).await {
            return vec![here.statuses];
        }
        let elsewhere = elsewhere.expect("only the killed instance ends a stream");
        let mut frames = fan.on(&elsewhere).watch().await.expect("a stream elsewhere");
        let mut there = Receiver { progress: &progress, is_admitted: here.is_admitted, statuses: Vec::new() };
        there.receive(next_status(&mut frames).await);
        progress.moved.fetch_add(1, Ordering::SeqCst);
        assert!(there.listen(&mut frames).await, "the other instance keeps its streams open");
        vec![here.statuses, there.statuses]
    }
}

/// Records the statuses of one stream.
struct Receiver<'a> {
    progress: &'a Progress,
    is_admitted: bool,
    statuses: Vec<QueueStatus>,
}

impl Receiver<'_> {
    fn receive(&mut self, status: QueueStatus) {
        if matches!(status, QueueStatus::Admitted(_)) && !self.is_admitted {
            self.is_admitted = true;
            self.progress.admitted.fetch_add(1, Ordering::SeqCst);
        }
        self.statuses.push(status);
    }

    /// Whether the stream stayed open until the end of the test.
    async fn listen(&mut self, frames: &mut Streaming<WatchPositionResponse>) -> bool {
        let over = self.progress.over.cancelled();
        tokio::pin!(over);
        loop {
            tokio::select! {
                frame = frames.message() => match frame {
                    Ok(Some(frame)) => self.receive(frame.status.and_then(|it| it.status).expect("a status")),
                    Ok(None) | Err(_) => return false,
                },
                () = &mut over => return true,
            }
        }
    }
}

/// All fans after joining, half of them at each instance.
async fn joined(world: &World, performance: PerformanceId, homes: [&Channel; 2]) -> Vec<Fan> {
    let mut fans: Vec<Fan> = (0..FANS).map(|turn| world.fan_without_account(homes[turn % 2])).collect();
    for some in fans.chunks_mut(AT_ONCE) {
        for number in join_all(some.iter_mut().map(|fan| fan.join(performance))).await {
            number.expect("a number");
        }
    }
    fans
}

/// Opens the stream of every fan. The fans of the instance that is killed reconnect to the other.
async fn watching(fans: Vec<Fan>, lasting: &Channel) -> Vec<Watching> {
    let mut watching = Vec::new();
    for (some, from) in fans.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        let begin = |(fan, turn): (&Fan, usize)| Watching::begin(fan.clone(), (turn % 2 == 1).then(|| lasting.clone()));
        watching.extend(join_all(some.iter().zip(from..).map(begin)).await);
    }
    watching
}

/// Checks that a fan waits and is then admitted once, with the same deadline on every stream.
fn check(statuses: &Statuses) {
    let mut deadlines = BTreeSet::new();
    for stream in statuses {
        let mut position = u64::MAX;
        for status in stream {
            match status {
                QueueStatus::Waiting(waiting) => {
                    assert!(deadlines.is_empty(), "an admitted fan does not wait again: {statuses:?}");
                    assert!(waiting.position <= position, "a position never grows: {statuses:?}");
                    position = waiting.position;
                }
                QueueStatus::Admitted(admitted) => {
                    let until = admitted.until.expect("a deadline");
                    deadlines.insert((until.seconds, until.nanos));
                }
                QueueStatus::Ended(_) | QueueStatus::PreQueued(_) => panic!("no fan is removed: {statuses:?}"),
            }
        }
    }
    assert_eq!(deadlines.len(), 1, "admitted once: {statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_show_their_admission_although_an_instance_is_killed() {
    let world = World::durable(1).await;
    let doomed = world.killable_instance().await;
    let lasting = world.channel(0);
    let performance = world.performance_in(chart(), Some(in_waves()), |performance| performance).await;
    let fans = joined(&world, performance, [lasting, &doomed.channel]).await;
    let watching = watching(fans, lasting).await;
    let progress = Arc::new(Progress::default());
    let listening: Vec<_> = watching.into_iter().map(|it| tokio::spawn(it.listen(Arc::clone(&progress)))).collect();
    until("the first batch admitted", || async { progress.admitted() == BATCH }).await;

    let admitted = |count| {
        let (progress, world) = (&progress, &world);
        move || {
            world.clock.advance(STEP);
            std::future::ready(progress.admitted() >= count)
        }
    };
    until("a third of the fans admitted", admitted(FANS / 3)).await;
    doomed.kill();
    assert!(progress.admitted() < FANS * 2 / 3, "the instance is killed in the middle");
    until("all fans admitted", admitted(FANS)).await;
    until("all fans of the killed instance", || async { progress.moved() == FANS / 2 }).await;

    progress.over.cancel();
    for statuses in join_all(listening).await {
        check(&statuses.expect("a fan who listened to the end"));
    }
    let queue = world.ports.queues.snapshot(performance).await.expect("Redis is available").expect("a queue");
    let fans = u64::try_from(FANS).expect("a number");
    assert_eq!((queue.flow.joined, queue.flow.called, queue.flow.accepted), (fans, fans, fans));
    assert_eq!((queue.active.len(), queue.called.len()), (FANS, 0));
}
