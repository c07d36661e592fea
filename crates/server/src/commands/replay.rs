//! `encore events replay`: the map of a performance, rebuilt from the seat feed and compared with the claims.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use encore_domain::booking::seat_state::{SeatOwner, SeatStatus};
use encore_domain::catalog::Venue;
use encore_domain::error::Unavailable;
use encore_domain::event::message::EventMessage;
use encore_domain::event::seat_feed::{SeatDifference, SeatFeedMap};
use encore_domain::ids::PerformanceId;
use encore_event_format::{from_json_line, read_seat_change};
use encore_events::{KafkaReader, compacted_file};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use uuid::Uuid;

use crate::commands::not_examined::NotExamined;
use crate::commands::{CommandError, ports, unmigrated};
use crate::config::{KafkaArgs, KafkaTopic, StoreArgs, Stores};
use crate::output::print_line;
use crate::ports::Ports;

/// How often the seats that differ are looked at. What differs twice in the same way was not on its way.
const ROUNDS: usize = 5;
/// The pause before the feed is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A topic that has more, and sends nothing for so long, cannot be read.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How many messages are read before it is looked whether that was all.
const READ_AT_ONCE: usize = 1_000;
/// The most differences that are printed.
const PRINTED_MAX: usize = 100;

/// What is replayed.
#[derive(Args)]
pub struct ReplayArgs {
    /// The ID of the performance.
    #[arg(long)]
    performance: Uuid,
    #[command(flatten)]
    stores: StoreArgs,
    /// The folder of the event files, in which the file of the seat feed is.
    #[arg(long, env = "ENCORE_EVENT_FILES")]
    event_files: Option<PathBuf>,
    /// Kafka instead.
    #[command(flatten)]
    kafka: KafkaArgs,
    /// The topic of the seat feed.
    #[arg(long, env = "ENCORE_KAFKA_SEAT_TOPIC", default_value = "encore.seats")]
    kafka_seat_topic: String,
    /// For how many seconds the feed is waited for, if it has not yet what was committed before.
    #[arg(long, default_value = "60")]
    wait_seconds: u64,
}

/// Compares, and prints what differs. Writes nothing.
pub async fn run(args: &ReplayArgs) -> Result<(), CommandError> {
    let source = args.source()?;
    let Stores::Durable { database, .. } = args.stores.check()? else {
        return Err(CommandError::Usage("ENCORE_DATABASE_URL: must be set, the claims are in the database".into()));
    };
    let ports = ports()?.on_postgres(&unmigrated(&database)).await.map_err(NotExamined::from)?;
    let performance = PerformanceId(args.performance);
    let patience = Duration::from_secs(args.wait_seconds);
    let replay = Replay { venue: venue(&ports, performance).await?, ports, performance, source, patience };
    let Compared { seats, claims, differences } = replay.compare().await?;
    print_line(format_args!("performance {performance}: {seats} seats in the feed, {claims} claims"))?;
    for difference in differences.iter().take(PRINTED_MAX) {
        print_line(format_args!("  {}", sentence(difference)))?;
    }
    let more = differences.len().saturating_sub(PRINTED_MAX);
    if more > 0 {
        print_line(format_args!("  and {more} more"))?;
    }
    if differences.is_empty() { Ok(()) } else { Err(CommandError::FeedDiffers(differences.len())) }
}

impl ReplayArgs {
    fn source(&self) -> Result<Source, CommandError> {
        match (self.kafka.check()?, &self.event_files) {
            (Some(of_events), _) => Ok(Source::Topic(KafkaTopic { topic: self.kafka_seat_topic.clone(), ..of_events })),
            (None, Some(folder)) => Ok(Source::File(folder.clone())),
            (None, None) => Err(CommandError::Usage("--event-files or --kafka-brokers: one must be set".to_owned())),
        }
    }
}

async fn venue(ports: &Ports, performance: PerformanceId) -> Result<Venue, NotExamined> {
    let found = ports.catalog.performance(performance).await?.ok_or(NotExamined::NoPerformance(performance))?;
    Ok(ports.catalog.venue(found.venue).await?.ok_or_else(|| Unavailable::of("the venue"))?)
}

/// Where the feed is.
#[derive(Clone)]
enum Source {
    Topic(KafkaTopic),
    File(PathBuf),
}

struct Replay {
    ports: Ports,
    performance: PerformanceId,
    venue: Venue,
    source: Source,
    patience: Duration,
}

/// The result of a comparison.
#[derive(Default)]
struct Compared {
    /// How many seats the feed mentions.
    seats: usize,
    claims: usize,
    differences: Vec<SeatDifference>,
}

impl Replay {
    /// Reads the claims, then the feed when it has all that was committed before, then the claims again. A seat that changed once
    /// meanwhile is in the feed as in one of the two; so one that differs from both is looked at again, and counts if it still differs in
    /// the same way.
    async fn compare(&self) -> Result<Compared, NotExamined> {
        let chart = &self.venue.chart;
        let mut before: Vec<SeatDifference> = Vec::new();
        let mut compared = Compared::default();
        for _ in 0..ROUNDS {
            let earlier = self.ports.reservations.claims(self.performance).await?;
            self.wait_for_feed().await?;
            let (source, performance) = (self.source.clone(), self.performance);
            let map = spawn_blocking(move || source.read(performance)).await??;
            let later = self.ports.reservations.claims(self.performance).await?;
            let differed: HashSet<String> =
                map.differences(chart, &earlier).into_iter().map(|difference| difference.seat_id).collect();
            let mut found = map.differences(chart, &later);
            found.retain(|difference| differed.contains(&difference.seat_id));
            let differences: Vec<SeatDifference> =
                found.iter().filter(|difference| before.contains(difference)).cloned().collect();
            let is_decided = differences.len() == found.len();
            compared = Compared { seats: map.len(), claims: later.len(), differences };
            if is_decided {
                return Ok(compared);
            }
            before = found;
            sleep(LOOK_EVERY).await;
        }
        if compared.differences.is_empty() { Err(NotExamined::Undecided(before.len())) } else { Ok(compared) }
    }

    /// Waits until the feed has everything that was committed before this call.
    async fn wait_for_feed(&self) -> Result<(), NotExamined> {
        let Ports { outbox, seat_feed_cursor, .. } = &self.ports;
        let until = Instant::now() + self.patience;
        let read_now = outbox.end().await?;
        let mut target = (outbox.backlog(read_now).await?.events == 0).then_some(read_now);
        loop {
            if target.is_none() {
                // A window that is closed later has all that was committed before.
                target = Some(outbox.end().await?).filter(|end| *end > read_now);
            }
            let position = seat_feed_cursor.position().await?;
            if let Some(held) = position.held_back(self.performance.0) {
                let (event_id, reason) = (held.event_id.clone(), held.reason.clone());
                return Err(NotExamined::HeldBack { event_id, reason });
            }
            if target.is_some_and(|target| position.cursor >= target) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(NotExamined::Behind(self.patience));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Source {
    /// The map of a performance. It blocks.
    fn read(&self, performance: PerformanceId) -> Result<SeatFeedMap, NotExamined> {
        match self {
            Self::Topic(topic) => read_topic(topic, performance),
            Self::File(folder) => read_file(folder, performance),
        }
    }
}

fn read_topic(
    KafkaTopic { servers, topic }: &KafkaTopic,
    performance: PerformanceId,
) -> Result<SeatFeedMap, NotExamined> {
    fn failed(topic: &str, error: impl Error + Send + Sync + 'static) -> NotExamined {
        NotExamined::Read { what: format!("topic {topic}"), source: io::Error::other(error) }
    }
    let reader = KafkaReader::open(servers, topic, true).map_err(|error| failed(topic, error))?;
    if !reader.exists() {
        return Err(NotExamined::NoFeed(format!("topic {topic}")));
    }
    let mut map = SeatFeedMap::default();
    let mut heard_at = Instant::now();
    while !reader.has_read_all().map_err(|error| failed(topic, error))? {
        for _ in 0..READ_AT_ONCE {
            let Some(message) = reader.next(LOOK_EVERY).map_err(|error| failed(topic, error))? else { break };
            heard_at = Instant::now();
            if let Some(message) = message {
                take(&mut map, performance, &message);
            }
        }
        if heard_at.elapsed() > SILENCE_MAX {
            return Err(failed(topic, io::Error::from(io::ErrorKind::TimedOut)));
        }
    }
    Ok(map)
}

fn read_file(folder: &Path, performance: PerformanceId) -> Result<SeatFeedMap, NotExamined> {
    let what = || format!("file of seats in {}", folder.display());
    let lines = compacted_file(folder).map_err(|source| NotExamined::Read { what: what(), source })?;
    let mut map = SeatFeedMap::default();
    for line in lines.ok_or_else(|| NotExamined::NoFeed(what()))? {
        let message = from_json_line(&line);
        let message = message.map_err(|error| NotExamined::Read { what: what(), source: io::Error::other(error) })?;
        take(&mut map, performance, &message);
    }
    Ok(map)
}

fn take(map: &mut SeatFeedMap, performance: PerformanceId, message: &EventMessage) {
    if let Some(said) = read_seat_change(message).filter(|said| said.performance == performance) {
        map.take(said.seat_id, said.said);
    }
}

fn sentence(SeatDifference { seat_id, in_feed, claim }: &SeatDifference) -> String {
    let feed = match in_feed {
        Some(said) => format!("{} in the feed (version {})", word(said.status), said.version),
        None => "not in the feed".to_owned(),
    };
    let claimed = match claim.map(|claim| (claim.owner.status(), claim.owner)) {
        Some((status, SeatOwner::Holder { reservation, .. } | SeatOwner::Buyer { reservation, .. })) => {
            format!("{} for reservation {reservation}", word(status))
        }
        Some((status, SeatOwner::Operators { block })) => format!("{} for block {block}", word(status)),
        None => word(SeatStatus::Free).to_owned(),
    };
    format!("seat {seat_id}: {feed}, {claimed} by the claims")
}

fn word(status: SeatStatus) -> &'static str {
    match status {
        SeatStatus::Free => "free",
        SeatStatus::Held => "held",
        SeatStatus::Sold => "sold",
        SeatStatus::Blocked => "blocked",
    }
}
