//! What stands for Kafka in a build without it: nothing can be opened.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::event::message::EventMessage;
use encore_domain::ports::EventPublisher;

use crate::kafka_servers::KafkaServers;
use crate::kafka_target::{KafkaTarget, WithoutKafka};

impl KafkaTarget {
    /// Fails: this build has no publisher to Kafka.
    pub fn publisher(self) -> Result<Arc<dyn EventPublisher>, WithoutKafka> {
        Err(WithoutKafka)
    }
}

/// Reads a topic of events, in a build with Kafka. Here there is none, and never a value of this type.
pub enum KafkaReader {}

impl KafkaReader {
    /// Fails.
    pub fn open(_servers: &KafkaServers, _topic: &str, _from_beginning: bool) -> Result<Self, WithoutKafka> {
        Err(WithoutKafka)
    }

    /// Never called, since there is no reader.
    pub fn length(&self) -> u64 {
        match *self {}
    }

    /// Never called, since there is no reader.
    pub fn exists(&self) -> bool {
        match *self {}
    }

    /// Never called, since there is no reader.
    pub fn has_read_all(&self) -> Result<bool, WithoutKafka> {
        match *self {}
    }

    /// Never called, since there is no reader.
    pub fn next(&self, _within: Duration) -> Result<Option<Option<EventMessage>>, WithoutKafka> {
        match *self {}
    }
}

/// Reads a topic once, in a build with Kafka. Here there is none, and never a value of this type.
pub enum TopicScan {}

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
    /// Fails.
    pub fn open(_servers: &KafkaServers, _topic: &str) -> Result<Self, WithoutKafka> {
        Err(WithoutKafka)
    }

    /// Never called, since there is no scan.
    pub fn first_kept(&self) -> &[i64] {
        match *self {}
    }

    /// Never called, since there is no scan.
    pub fn next(&mut self) -> Result<Option<ScannedMessage>, WithoutKafka> {
        match *self {}
    }
}
