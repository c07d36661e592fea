use std::error::Error;
use std::time::Duration;

use encore_domain::event::message::EventMessage;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{BrokerLog, client_config};
use super::publisher::from_kafka;
use crate::kafka_servers::KafkaServers;

/// How long the broker may take to answer about a topic.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How much of what the library has to say is heard after a failure. It says something of each connection.
const HEARD: usize = 20;

/// A topic that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the brokers cannot be read")]
pub struct KafkaReadError(#[source] pub(super) Box<dyn Error + Send + Sync>);

/// Reads a topic of events without a consumer group, so that nobody else's reading is touched. Its calls block.
pub struct KafkaReader {
    consumer: BaseConsumer<BrokerLog>,
    log: BrokerLog,
    /// How many messages were there when it was opened.
    length: u64,
    topic: String,
    exists: bool,
    /// Where the partitions that were not empty ended when it was opened.
    ends: Vec<(i32, i64)>,
}

impl KafkaReader {
    /// Reads from the beginning of the topic, or only what comes after now.
    pub fn open(servers: &KafkaServers, topic: &str, from_beginning: bool) -> Result<Self, KafkaReadError> {
        let log = BrokerLog::default();
        let consumer: BaseConsumer<BrokerLog> = client_config(servers)
            .set("client.id", "encore-events")
            // A group is never joined, but the library wants a name.
            .set("group.id", "encore-events")
            .set("enable.auto.commit", "false")
            .create_with_context(log.clone())
            .map_err(|error| KafkaReadError(error.into()))?;
        let mut reader = Self { consumer, log, topic: topic.to_owned(), length: 0, exists: false, ends: Vec::new() };
        match reader.assign(from_beginning) {
            Ok(()) => Ok(reader),
            Err(error) => Err(reader.explain(error)),
        }
    }

    /// Begins with all partitions of the topic, and notes what is there.
    fn assign(&mut self, from_beginning: bool) -> Result<(), KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), ANSWER_WITHIN)?;
        let mut partitions = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let (low, high) = self.consumer.fetch_watermarks(&self.topic, partition.id(), ANSWER_WITHIN)?;
            self.length += u64::try_from(high - low).unwrap_or_default();
            if from_beginning && low < high {
                self.ends.push((partition.id(), high));
            }
            let offset = Offset::Offset(if from_beginning { low } else { high });
            partitions.add_partition_offset(&self.topic, partition.id(), offset)?;
        }
        self.consumer.assign(&partitions)?;
        self.exists = partitions.count() > 0;
        Ok(())
    }

    /// How many messages the topic had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the broker has the topic.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Whether all was read that was there when it was opened. In a topic that is compacted, that is fewer messages than
    /// [`length`](Self::length) says.
    pub fn has_read_all(&self) -> Result<bool, KafkaReadError> {
        let positions = self.consumer.position().map_err(|error| self.explain(error))?;
        let is_read = |(partition, end): &(i32, i64)| {
            let position = positions.find_partition(&self.topic, *partition).map(|found| found.offset());
            matches!(position, Some(Offset::Offset(next)) if next >= *end)
        };
        Ok(self.ends.iter().all(is_read))
    }

    /// The next message, in the order of its partition; none if there is none in time. A message that is no event is an inner none.
    pub fn next(&self, within: Duration) -> Result<Option<Option<EventMessage>>, KafkaReadError> {
        let polled = self.consumer.poll(within).transpose();
        Ok(polled.map_err(|error| self.explain(error))?.map(|message| from_kafka(&message)))
    }

    /// The error, with what the library said of the connections, which waits to be heard.
    fn explain(&self, error: KafkaError) -> KafkaReadError {
        for _ in 0..HEARD {
            let _ = self.consumer.poll(Duration::ZERO);
        }
        KafkaReadError(self.log.explain(error))
    }
}
