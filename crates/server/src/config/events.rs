//! Events: where they are published, and for how long they are kept.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use encore_events::{CompactedLimits, FileLimits, KafkaTarget, Reach};

use super::check::Check;
use super::kafka::{KafkaArgs, KafkaTopic, topic_name};

/// How long delivered events are kept with a database and without one, in hours: a week for consumers that fell behind; and an hour,
/// because memory is all there is.
const RETENTION_HOURS: (&str, &str) = ("168", "1");

/// Where events are published.
#[derive(Args, Clone)]
pub struct EventArgs {
    /// Publish events to Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The topic of the seat feed: the status of each seat, compacted by seat; `off` for none. It is created if it does not exist.
    #[arg(long, env = "ENCORE_KAFKA_SEAT_TOPIC", default_value = "encore.seats")]
    pub kafka_seat_topic: String,
    /// The topic of what happened to the fans of queues, in batches; `off` for none. It is created if it does not exist.
    #[arg(long, env = "ENCORE_KAFKA_QUEUE_TOPIC", default_value = "encore.queue")]
    pub kafka_queue_topic: String,
    /// How many partitions each topic gets if it is created (1 to 1000).
    #[arg(long, env = "ENCORE_KAFKA_PARTITIONS", default_value = "12")]
    pub kafka_partitions: String,
    /// How many replicas each partition gets then (1 to 10). Default: what the brokers are set to.
    #[arg(long, env = "ENCORE_KAFKA_REPLICAS")]
    pub kafka_replicas: Option<String>,
    /// Publish events as JSON lines to files in this folder; `off` to publish none. Default without a database and Kafka: a
    /// folder of this address in the folder for temporary files. Default otherwise: `off`.
    #[arg(long, env = "ENCORE_EVENT_FILES")]
    pub event_files: Option<String>,
    /// The size at which a file of events is full and another begun, in megabytes (1 to 10000).
    #[arg(long, env = "ENCORE_EVENT_FILE_MB", default_value = "16")]
    pub event_file_mb: String,
    /// The most files of events; the oldest is deleted (1 to 1000).
    #[arg(long, env = "ENCORE_EVENT_FILES_MAX", default_value = "8")]
    pub event_files_max: String,
    /// For how many hours an event is kept after it was published (1 to 8760). Default: 168 with a database, otherwise 1.
    #[arg(long, env = "ENCORE_EVENT_RETENTION_HOURS")]
    pub event_retention_hours: Option<String>,
    /// Also send webhooks to private, loopback and other special addresses, and without TLS: for development, and for endpoints in the
    /// server's own network.
    #[arg(long, env = "ENCORE_WEBHOOK_PRIVATE_ADDRESSES")]
    pub webhook_private_addresses: bool,
}

/// The checked arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Where events are published.
    pub publisher: Publisher,
    /// Where the seat feed is published.
    pub seat_feed: SeatFeed,
    /// Where the facts of queues are published.
    pub queue_facts: Publisher,
    /// For how long they are kept after that.
    pub retention: Duration,
    /// Where webhooks may go.
    pub reach: Reach,
}

/// Where events are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// Nowhere. They stay in the outbox.
    Off,
    /// To files in a folder.
    Files(PathBuf, FileLimits),
    /// To a topic of Kafka.
    Kafka(KafkaTarget),
}

/// Where the seat feed is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatFeed {
    /// Nowhere: there is none.
    Off,
    /// To a file in the folder of the events.
    File(PathBuf, CompactedLimits),
    /// To a compacted topic of Kafka.
    Kafka(KafkaTarget),
}

impl EventArgs {
    /// Checks the arguments of an instance that listens on `listen`.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool, listen: Option<SocketAddr>) -> Option<Events> {
        let mb = check.number("ENCORE_EVENT_FILE_MB", &self.event_file_mb, 1..=10_000);
        let files_max = check.number("ENCORE_EVENT_FILES_MAX", &self.event_files_max, 1..=1_000);
        let default = if is_embedded { RETENTION_HOURS.1 } else { RETENTION_HOURS.0 };
        let hours = self.event_retention_hours.as_deref().unwrap_or(default);
        let hours = check.number("ENCORE_EVENT_RETENTION_HOURS", hours, 1..=8_760);
        let kafka = self.kafka_target(check);
        let others = [self.kafka.kafka_topic.as_str(), &self.kafka_seat_topic];
        let seat_topic = further_topic(check, "ENCORE_KAFKA_SEAT_TOPIC", &self.kafka_seat_topic, &others[..1]);
        let queue_topic = further_topic(check, "ENCORE_KAFKA_QUEUE_TOPIC", &self.kafka_queue_topic, &others);
        let folder = match self.event_files.as_deref() {
            Some("") => {
                check.0.push("ENCORE_EVENT_FILES: must be a folder or off".to_owned());
                None
            }
            Some("off") => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None if is_embedded && self.kafka.kafka_brokers.is_none() => Some(default_folder(listen?)),
            None => None,
        };
        let limits = FileLimits { file_bytes_max: u64::from(mb?) * 1_000_000, files_max: files_max? as usize };
        if folder.is_some() && self.kafka.kafka_brokers.is_some() {
            check.0.push("ENCORE_KAFKA_BROKERS: cannot be set together with ENCORE_EVENT_FILES".to_owned());
        }
        let publisher = match (kafka, folder) {
            (Some(target), _) => Publisher::Kafka(target),
            (None, Some(folder)) => Publisher::Files(folder, limits),
            (None, None) => Publisher::Off,
        };
        let seat_feed = match &publisher {
            Publisher::Off => SeatFeed::Off,
            Publisher::Files(folder, limits) => SeatFeed::File(folder.clone(), as_compacted(*limits)),
            Publisher::Kafka(target) => match seat_topic? {
                Some(topic) => SeatFeed::Kafka(KafkaTarget { topic, is_compacted: true, ..target.clone() }),
                None => SeatFeed::Off,
            },
        };
        let queue_facts = match &publisher {
            Publisher::Kafka(target) => match queue_topic? {
                Some(topic) => Publisher::Kafka(KafkaTarget { topic, ..target.clone() }),
                None => Publisher::Off,
            },
            Publisher::Off | Publisher::Files(..) => publisher.clone(),
        };
        let reach = if self.webhook_private_addresses { Reach::Anywhere } else { Reach::Public };
        Some(Events { publisher, seat_feed, queue_facts, retention: Duration::from_hours(hours?.into()), reach })
    }
}

impl EventArgs {
    /// The topic, if brokers are named. An invalid value is recorded as a violation.
    fn kafka_target(&self, check: &mut Check) -> Option<KafkaTarget> {
        let partitions = check.number("ENCORE_KAFKA_PARTITIONS", &self.kafka_partitions, 1..=1_000);
        let replicas = self.kafka_replicas.as_deref();
        let replicas = replicas.map(|replicas| check.number("ENCORE_KAFKA_REPLICAS", replicas, 1..=10));
        let KafkaTopic { servers, topic } = self.kafka.read(check).ok()??;
        let replication = replicas.flatten().map(u32::cast_signed);
        let partitions = partitions?.cast_signed();
        Some(KafkaTarget { servers, topic, partitions, replication, is_compacted: false })
    }
}

/// A topic beside these others; an inner none if it is off.
#[expect(clippy::option_option, reason = "an invalid name, none and a topic are three things")]
fn further_topic(check: &mut Check, variable: &str, name: &str, others: &[&str]) -> Option<Option<String>> {
    if name == "off" {
        return Some(None);
    }
    let is_taken = others.contains(&name);
    check.read(variable, if is_taken { Err("must be a topic of its own") } else { topic_name(name) }).map(Some)
}

/// The file of the seat feed is compacted from the size of a file of events on, and takes as much as all of them at most.
fn as_compacted(FileLimits { file_bytes_max, files_max }: FileLimits) -> CompactedLimits {
    CompactedLimits { compacted_from: file_bytes_max, bytes_max: file_bytes_max.saturating_mul(files_max as u64) }
}

/// Not in the working folder, which may be a checkout; and another one for each server on the machine.
fn default_folder(listen: SocketAddr) -> PathBuf {
    std::env::temp_dir().join(format!("encore-events-{}", listen.port()))
}
