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
        let mut reader = Self { consumer, log, length: 0 };
        match reader.assign(topic, from_beginning) {
            Ok(length) => {
                reader.length = length;
                Ok(reader)
            }
            Err(error) => Err(reader.explain(error)),
        }
    }

    /// Begins with all partitions of a topic. Returns how many messages they have.
    fn assign(&self, topic: &str, from_beginning: bool) -> Result<u64, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
        let (mut partitions, mut length) = (TopicPartitionList::new(), 0);
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let (low, high) = self.consumer.fetch_watermarks(topic, partition.id(), ANSWER_WITHIN)?;
            length += u64::try_from(high - low).unwrap_or_default();
            let offset = Offset::Offset(if from_beginning { low } else { high });
            partitions.add_partition_offset(topic, partition.id(), offset)?;
        }
        self.consumer.assign(&partitions)?;
        Ok(length)
    }

    /// How many messages the topic had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
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
