use std::time::{Duration, Instant};

use encore_domain::event::message::EventMessage;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{BrokerLog, client_config};
use super::publisher::from_kafka;
use super::reader::KafkaReadError;
use crate::kafka_servers::KafkaServers;

/// How long the broker may take to answer about a topic, or to send the next message.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long is waited at once.
const POLL: Duration = Duration::from_millis(250);

/// Reads a topic once, from its beginning to where it ended when this was opened or later. Its calls block.
pub struct TopicScan {
    consumer: BaseConsumer<BrokerLog>,
    log: BrokerLog,
    /// The first offset of each partition that is kept, in the order of the partitions, which have the numbers from 0.
    first_kept: Vec<i64>,
    /// Whether a partition is read to its end.
    is_read: Vec<bool>,
}

/// A message of a topic.
pub struct ScannedMessage {
    /// The number of its partition.
    pub partition: usize,
    /// When it was sent, in milliseconds since 1970, if the topic says so.
    pub published_ms: Option<i64>,
    /// None if it is not one that Encore published.
    pub event: Option<EventMessage>,
}

impl TopicScan {
    /// Begins. A topic that does not exist has no partitions.
    pub fn open(servers: &KafkaServers, topic: &str) -> Result<Self, KafkaReadError> {
        let log = BrokerLog::default();
        let consumer: BaseConsumer<BrokerLog> = client_config(servers)
            .set("client.id", "encore-verify")
            // A group is never joined, but the library wants a name.
            .set("group.id", "encore-verify")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            // What is deleted while it is read is passed.
            .set("auto.offset.reset", "earliest")
            .create_with_context(log.clone())
            .map_err(|error| KafkaReadError(error.into()))?;
        let mut scan = Self { consumer, log, first_kept: Vec::new(), is_read: Vec::new() };
        match scan.assign(topic) {
            Ok(first_kept) => {
                scan.is_read = vec![false; first_kept.len()];
                scan.first_kept = first_kept;
                Ok(scan)
            }
            Err(error) => Err(scan.explain(error)),
        }
    }

    fn assign(&self, topic: &str) -> Result<Vec<i64>, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
        let mut ids: Vec<i32> =
            metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
        ids.sort_unstable();
        let (mut list, mut first_kept) = (TopicPartitionList::new(), Vec::with_capacity(ids.len()));
        for id in ids {
            let (low, _) = self.consumer.fetch_watermarks(topic, id, ANSWER_WITHIN)?;
            list.add_partition_offset(topic, id, Offset::Offset(low))?;
            first_kept.push(low);
        }
        self.consumer.assign(&list)?;
        Ok(first_kept)
    }

    /// The first offset of each partition that is kept. It is 0 if nothing of the partition was deleted.
    pub fn first_kept(&self) -> &[i64] {
        &self.first_kept
    }

    /// The next message, in the order of its partition; none at the end.
    pub fn next(&mut self) -> Result<Option<ScannedMessage>, KafkaReadError> {
        let mut began = Instant::now();
        while self.is_read.contains(&false) {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let partition = usize::try_from(message.partition()).unwrap_or_default();
                    let (published_ms, event) = (message.timestamp().to_millis(), from_kafka(&message));
                    return Ok(Some(ScannedMessage { partition, published_ms, event }));
                }
                Some(Err(KafkaError::PartitionEOF(id))) => {
                    if let Some(is_read) = self.is_read.get_mut(usize::try_from(id).unwrap_or_default()) {
                        *is_read = true;
                    }
                    began = Instant::now();
                }
                // The library goes on trying.
                Some(Err(error)) if began.elapsed() > ANSWER_WITHIN => return Err(self.explain(error)),
                None if began.elapsed() > ANSWER_WITHIN => return Err(self.explain(KafkaError::Canceled)),
                Some(Err(_)) | None => {}
            }
        }
        Ok(None)
    }

    fn explain(&self, error: KafkaError) -> KafkaReadError {
        KafkaReadError(self.log.explain(error))
    }
}
