#![doc = include_str!("../README.md")]

mod charts;
mod compacted_file;
mod file;
mod file_reader;
#[cfg(feature = "kafka")]
mod kafka;
mod kafka_target;
mod lease;
mod notifier;
mod queue_facts;
mod relay;
mod webhooks;
#[cfg(not(feature = "kafka"))]
mod without_kafka;

pub use compacted_file::{CompactedFilePublisher, CompactedLimits, compacted_file};
pub use file::{FileLimits, FilePublisher, event_files};
pub use file_reader::FileReader;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaPublisher, KafkaReader};
pub use kafka_target::{HAS_KAFKA, KafkaTarget, WithoutKafka};
pub use notifier::{Notifier, NotifierParts};
pub use queue_facts::QueueFactPublisher;
pub use relay::{Relay, RelayParts};
pub use webhooks::{HttpWebhookSender, Reach, WebhookDeliverer, WebhookDelivererParts};
#[cfg(not(feature = "kafka"))]
pub use without_kafka::KafkaReader;
