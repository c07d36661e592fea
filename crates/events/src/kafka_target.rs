use std::fmt;

use thiserror::Error;

use crate::kafka_servers::KafkaServers;

/// Whether this build can use Kafka, by the feature `kafka`.
pub const HAS_KAFKA: bool = cfg!(feature = "kafka");

/// This build cannot use Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this encore was built without Kafka: build it with `--features kafka`, which needs make beside Rust")]
pub struct WithoutKafka;

/// Where events are published.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaTarget {
    /// The brokers.
    pub servers: KafkaServers,
    /// The topic of all events.
    pub topic: String,
    /// How many partitions it gets if it is created.
    pub partitions: i32,
    /// How many replicas each partition gets then; none for what the broker is set to.
    pub replication: Option<i32>,
    /// Whether it is compacted then: the broker keeps the latest message of each key.
    pub is_compacted: bool,
}

impl fmt::Debug for KafkaTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, topic, .. } = self;
        write!(f, "{topic} at {servers:?}")
    }
}
