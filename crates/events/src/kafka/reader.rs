use std::time::Duration;

use encore_domain::event::message::EventMessage;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::publisher::from_kafka;

/// How long the broker may take to answer about a topic.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Reads a topic of events without a consumer group, so that nobody else's reading is touched. Its calls block.
pub struct KafkaReader {
    consumer: BaseConsumer,
    /// How many messages were there when it was opened.
    length: u64,
    topic: String,
    exists: bool,
    /// Where the partitions that were not empty ended when it was opened.
    ends: Vec<(i32, i64)>,
}

impl KafkaReader {
    /// Reads from the beginning of the topic, or only what comes after now.
    pub fn open(brokers: &str, topic: &str, from_beginning: bool) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "encore-events")
            // A group is never joined, but the library wants a name.
            .set("group.id", "encore-events")
            .set("enable.auto.commit", "false")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
        let (mut partitions, mut length, mut ends) = (TopicPartitionList::new(), 0, Vec::new());
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_WITHIN)?;
            length += u64::try_from(high - low).unwrap_or_default();
            if from_beginning && low < high {
                ends.push((partition.id(), high));
            }
            let offset = Offset::Offset(if from_beginning { low } else { high });
            partitions.add_partition_offset(topic, partition.id(), offset)?;
        }
        consumer.assign(&partitions)?;
        let exists = partitions.count() > 0;
        Ok(Self { consumer, length, topic: topic.to_owned(), exists, ends })
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
    pub fn has_read_all(&self) -> Result<bool, KafkaError> {
        let positions = self.consumer.position()?;
        let is_read = |(partition, end): &(i32, i64)| {
            let position = positions.find_partition(&self.topic, *partition).map(|found| found.offset());
            matches!(position, Some(Offset::Offset(next)) if next >= *end)
        };
        Ok(self.ends.iter().all(is_read))
    }

    /// The next message, in the order of its partition; none if there is none in time. A message that is no event is an inner none.
    pub fn next(&self, within: Duration) -> Result<Option<Option<EventMessage>>, KafkaError> {
        Ok(self.consumer.poll(within).transpose()?.map(|message| from_kafka(&message)))
    }
}
