//! A crowd that waits on open streams, while one of two instances is killed. It has a process of its own.
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
/// How many come in at once before time passes.
const BATCH: usize = 500;
/// How many fans do at once what all do.
const AT_ONCE: usize = 100;
/// How far the clock goes between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Everybody comes in, in waves, and nothing ends before the story does.
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

/// A venue with one seat for each.
fn context() -> SeatChart {
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

/// What the crowd has come to.
#[derive(Default)]
struct Crowd {
    /// How many know that they are inside.
    admitted: AtomicUsize,
    /// How many were told something by the second instance that they turned to.
    moved: AtomicUsize,
    over: CancellationToken,
}

impl Crowd {
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
    /// What the stream said first.
    first: QueueStatus,
    /// Where to go if the instance goes away.
    elsewhere: Option<Channel>,
}

/// What one fan was told, stream by stream.
type Told = Vec<Vec<QueueStatus>>;

impl Watching {
    async fn begin(fan: Fan, elsewhere: Option<Channel>) -> Self {
        let mut frames = fan.watch().await.expect("a stream");
        let first = next_status(&mut frames).await;
        Self { fan, frames, first, elsewhere }
    }

    /// Listens until all is over.
    async fn listen(self, crowd: Arc<Crowd>) -> Told {
        let Self { fan, mut frames, first, elsewhere } = self;
        let mut here = Hearing { crowd: &crowd, knows: false, told: Vec::new() };
        here.hear(first);
        if here.listen(&mut frames).await {
            return vec![here.told];
        }
        let elsewhere = elsewhere.expect("only an instance that was killed ends a stream");
        let mut frames = fan.on(&elsewhere).watch().await.expect("a stream elsewhere");
        let mut there = Hearing { crowd: &crowd, knows: here.knows, told: Vec::new() };
        there.hear(next_status(&mut frames).await);
        crowd.moved.fetch_add(1, Ordering::SeqCst);
        assert!(there.listen(&mut frames).await, "the instance that is left keeps its streams");
        vec![here.told, there.told]
    }
}

/// A fan at one stream.
struct Hearing<'a> {
    crowd: &'a Crowd,
    knows: bool,
    told: Vec<QueueStatus>,
}

impl Hearing<'_> {
    fn hear(&mut self, status: QueueStatus) {
        if matches!(status, QueueStatus::Admitted(_)) && !self.knows {
            self.knows = true;
            self.crowd.admitted.fetch_add(1, Ordering::SeqCst);
        }
        self.told.push(status);
    }

    /// Whether the stream lasted until all was over.
    async fn listen(&mut self, frames: &mut Streaming<WatchPositionResponse>) -> bool {
        let over = self.crowd.over.cancelled();
        tokio::pin!(over);
        loop {
            tokio::select! {
                frame = frames.message() => match frame {
                    Ok(Some(frame)) => self.hear(frame.status.and_then(|it| it.status).expect("a status")),
                    Ok(None) | Err(_) => return false,
                },
                () = &mut over => return true,
            }
        }
    }
}

/// The crowd, half of it at each instance.
async fn joined(world: &World, performance: PerformanceId, homes: [&Channel; 2]) -> Vec<Fan> {
    let mut fans: Vec<Fan> = (0..FANS).map(|turn| world.passer_by(homes[turn % 2])).collect();
    for some in fans.chunks_mut(AT_ONCE) {
        for number in join_all(some.iter_mut().map(|fan| fan.join(performance))).await {
            number.expect("a place");
        }
    }
    fans
}

/// Opens the stream of everybody. Who is at the instance that is killed goes to the other.
async fn watching(fans: Vec<Fan>, lasting: &Channel) -> Vec<Watching> {
    let mut watching = Vec::new();
    for (some, from) in fans.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        let begin = |(fan, turn): (&Fan, usize)| Watching::begin(fan.clone(), (turn % 2 == 1).then(|| lasting.clone()));
        watching.extend(join_all(some.iter().zip(from..).map(begin)).await);
    }
    watching
}

/// A fan waits, and then is inside until one moment, whatever stream says so.
fn check(told: &Told) {
    let mut deadlines = BTreeSet::new();
    for stream in told {
        let mut position = u64::MAX;
        for status in stream {
            match status {
                QueueStatus::Waiting(waiting) => {
                    assert!(deadlines.is_empty(), "who is inside does not wait again: {told:?}");
                    assert!(waiting.position <= position, "a position never grows: {told:?}");
                    position = waiting.position;
                }
                QueueStatus::Admitted(admitted) => {
                    let until = admitted.until.expect("a deadline");
                    deadlines.insert((until.seconds, until.nanos));
                }
                QueueStatus::Ended(_) | QueueStatus::PreQueued(_) => panic!("nobody is sent away: {told:?}"),
            }
        }
    }
    assert_eq!(deadlines.len(), 1, "admitted once: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_learn_of_their_admission_though_an_instance_is_killed() {
    let world = World::durable(1).await;
    let doomed = world.mortal().await;
    let lasting = world.channel(0);
    let performance = world.performance_in(context(), Some(in_waves()), |performance| performance).await;
    let fans = joined(&world, performance, [lasting, &doomed.channel]).await;
    let watching = watching(fans, lasting).await;
    let crowd = Arc::new(Crowd::default());
    let listening: Vec<_> = watching.into_iter().map(|it| tokio::spawn(it.listen(Arc::clone(&crowd)))).collect();
    until("the first wave inside", || async { crowd.admitted() == BATCH }).await;

    let inside = |count| {
        let (crowd, world) = (&crowd, &world);
        move || {
            world.clock.advance(STEP);
            std::future::ready(crowd.admitted() >= count)
        }
    };
    until("a part of the crowd inside", inside(FANS / 3)).await;
    doomed.kill();
    assert!(crowd.admitted() < FANS * 2 / 3, "in the middle of it");
    until("everybody inside", inside(FANS)).await;
    until("everybody who moved", || async { crowd.moved() == FANS / 2 }).await;

    crowd.over.cancel();
    for told in join_all(listening).await {
        check(&told.expect("a fan who listened to the end"));
    }
    let queue = world.ports.queues.snapshot(performance).await.expect("Redis is there").expect("a queue");
    let fans = u64::try_from(FANS).expect("a number");
    assert_eq!((queue.flow.joined, queue.flow.called, queue.flow.accepted), (fans, fans, fans));
    assert_eq!((queue.active.len(), queue.called.len()), (FANS, 0));
}
