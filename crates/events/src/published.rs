//! Compares what was acknowledged with what is there.

use std::collections::HashSet;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use encore_domain::event::OutboxRecord;
use encore_domain::time::Timestamp;
use encore_event_format::from_json_line;
use thiserror::Error;
use uuid::Uuid;

use crate::file::kept_since;
use crate::file_reader::FileReader;
#[cfg(feature = "kafka")]
use crate::kafka::TopicScan;
use crate::kafka_servers::KafkaServers;
#[cfg(not(feature = "kafka"))]
use crate::without_kafka::TopicScan;

/// The most events that are compared at once. Their ids take some hundred megabytes.
const EVENTS_MAX: usize = 20_000_000;
/// By how much clocks may differ.
const CLOCKS_DIFFER_BY: Duration = Duration::from_mins(1);

/// Events that were acknowledged, before it is known which of them are there. Of each id eight bytes are kept, a hash: that one is missing
/// goes unnoticed if another has its hash, which is one chance in a trillion for twenty million events.
#[derive(Default)]
pub struct Acknowledged {
    hasher: RandomState,
    ids: HashSet<u64>,
}

/// Those that were not found.
pub struct NotFound {
    events: Acknowledged,
    partitions: Vec<Kept>,
}

/// How far back a partition is kept. Files are one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// From its beginning.
    Whole,
    /// Only what was published after a moment; nothing if there is none.
    Since(Option<Timestamp>),
}

/// What became of an event that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It is there.
    Found,
    /// It is not there.
    Missing,
    /// It may have been there: what is so old is deleted.
    NotKept,
}

/// What was published cannot be compared.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum CannotCompare {
    #[error("the topic {0} does not exist")]
    NoTopic(String),
    #[error("there are no files of events in that folder")]
    NoFiles,
    #[error("the outbox keeps more than {EVENTS_MAX} events that were published")]
    TooMany,
    #[error("what was published cannot be read")]
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
}

impl Acknowledged {
    /// Adds an event.
    pub fn add(&mut self, record: &OutboxRecord) -> Result<(), CannotCompare> {
        if self.ids.len() >= EVENTS_MAX {
            return Err(CannotCompare::TooMany);
        }
        self.ids.insert(self.hash(&record.id));
        Ok(())
    }

    /// Looks for them in a topic, which is read once. The call blocks.
    pub fn look_in_topic(mut self, servers: &KafkaServers, topic: &str) -> Result<NotFound, CannotCompare> {
        let mut scan = TopicScan::open(servers, topic).map_err(unreadable)?;
        let kept = |first: &i64| if *first == 0 { Kept::Whole } else { Kept::Since(None) };
        let mut partitions: Vec<Kept> = scan.first_kept().iter().map(kept).collect();
        if partitions.is_empty() {
            return Err(CannotCompare::NoTopic(topic.to_owned()));
        }
        while let Some(message) = scan.next().map_err(unreadable)? {
            if let Some(Kept::Since(first @ None)) = partitions.get_mut(message.partition) {
                *first = message.published_ms.and_then(DateTime::from_timestamp_millis);
            }
            if let Some(event) = message.event {
                self.strike(&event.id);
            }
        }
        Ok(NotFound { events: self, partitions })
    }

    /// Looks for them in the files of a folder. The call blocks.
    pub fn look_in_files(mut self, folder: &Path) -> Result<NotFound, CannotCompare> {
        if !folder.is_dir() {
            return Err(CannotCompare::NoFiles);
        }
        let kept = kept_since(folder).map_err(unreadable)?.map_or(Kept::Whole, |since| Kept::Since(Some(since.into())));
        let mut reader = FileReader::open(folder, true).map_err(unreadable)?;
        while let Some(line) = reader.next_line().map_err(unreadable)? {
            // A line that is no event is none that Encore wrote.
            if let Ok(event) = from_json_line(&line) {
                self.strike(&event.id);
            }
        }
        Ok(NotFound { events: self, partitions: vec![kept] })
    }

    fn strike(&mut self, id: &str) {
        let hash = self.hash(id);
        self.ids.remove(&hash);
    }

    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }
}

impl NotFound {
    /// Whether all were found.
    pub fn is_empty(&self) -> bool {
        self.events.ids.is_empty()
    }

    /// What became of one of the events.
    pub fn publication_of(&self, record: &OutboxRecord) -> Publication {
        if !self.events.ids.contains(&self.events.hash(&record.id)) {
            return Publication::Found;
        }
        // An event is published after its change was made. So it would be kept if the change is younger than what is kept.
        match self.partitions.get(partition_of(record.key, self.partitions.len())) {
            Some(Kept::Since(None)) => Publication::NotKept,
            Some(Kept::Since(Some(since))) if record.at < *since + CLOCKS_DIFFER_BY => Publication::NotKept,
            Some(Kept::Whole | Kept::Since(Some(_))) | None => Publication::Missing,
        }
    }
}

fn unreadable(error: impl Into<Box<dyn Error + Send + Sync>>) -> CannotCompare {
    CannotCompare::Unreadable(error.into())
}

/// The partition to which the partitioner of Kafka's own clients assigns a key.
fn partition_of(key: Uuid, partitions: usize) -> usize {
    (murmur2(key.to_string().as_bytes()) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// The hash function `MurmurHash2` of Austin Appleby, with the seed of Kafka.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const FACTOR: u32 = 0x5bd1_e995;
    let mix = |word: u32| {
        let word = word.wrapping_mul(FACTOR);
        (word ^ (word >> 24)).wrapping_mul(FACTOR)
    };
    let (words, rest) = data.as_chunks::<4>();
    let start = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let step = |hash: u32, word: &[u8; 4]| hash.wrapping_mul(FACTOR) ^ mix(u32::from_le_bytes(*word));
    let mut hash = words.iter().fold(start, step);
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use encore_domain::event::{OutboxPlace, UnreadableEvent};

    use super::*;

    #[test]
    fn keys_are_hashed_as_kafka_hashes_them() {
        // The cases of Kafka's own test.
        for (data, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(data.as_bytes()).cast_signed(), hash, "{data}");
        }
    }

    fn minute(minute: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_mins(minute)
    }

    fn record(id: &str, at: Timestamp) -> OutboxRecord {
        let event = Err(UnreadableEvent("it is of no kind".to_owned()));
        let (id, kind) = (id.to_owned(), "test".to_owned());
        OutboxRecord { place: OutboxPlace::default(), id, kind, key: Uuid::nil(), at, event }
    }

    #[test]
    fn an_event_is_missing_only_if_it_would_be_kept() {
        let (there, lost) = (record("there", minute(5)), record("lost", minute(100)));
        for (kept, expected) in [
            (Kept::Whole, Publication::Missing),
            (Kept::Since(Some(minute(98))), Publication::Missing),
            (Kept::Since(Some(minute(100))), Publication::NotKept),
            (Kept::Since(None), Publication::NotKept),
        ] {
            let mut events = Acknowledged::default();
            for event in [&there, &lost] {
                events.add(event).expect("few");
            }
            events.strike("there");
            events.strike("another");
            let not_found = NotFound { events, partitions: vec![kept] };
            assert!(!not_found.is_empty());
            assert_eq!(not_found.publication_of(&there), Publication::Found);
            assert_eq!(not_found.publication_of(&lost), expected, "{kept:?}");
        }
    }
}
