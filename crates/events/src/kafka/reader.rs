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
        let (mut partitions, mut length) = (TopicPartitionList::new(), 0);
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_WITHIN)?;
            length += u64::try_from(high - low).unwrap_or_default();
            let offset = Offset::Offset(if from_beginning { low } else { high });
            partitions.add_partition_offset(topic, partition.id(), offset)?;
        }
        consumer.assign(&partitions)?;
        Ok(Self { consumer, length })
    }

    /// How many messages the topic had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next message, in the order of its partition; none if there is none in time. A message that is no event is an inner none.
    pub fn next(&self, within: Duration) -> Result<Option<Option<EventMessage>>, KafkaError> {
        Ok(self.consumer.poll(within).transpose()?.map(|message| from_kafka(&message)))
    }
}
