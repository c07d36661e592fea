#![doc = include_str!("../README.md")]

mod alarms;
mod charts;
mod compacted_file;
mod file;
mod file_reader;
#[cfg(feature = "kafka")]
mod kafka;
mod kafka_servers;
mod kafka_target;
mod lease;
mod notifier;
mod published;
mod queue_facts;
mod relay;
mod webhooks;
#[cfg(not(feature = "kafka"))]
mod without_kafka;

pub use alarms::{AlarmNotifier, AlarmNotifierParts, AlarmWebhook, AlarmWebhookError, Alarms};
pub use compacted_file::{CompactedFilePublisher, CompactedLimits, compacted_file};
pub use file::{FileLimits, FilePublisher, event_files};
pub use file_reader::FileReader;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaPublisher, KafkaReadError, KafkaReader};
pub use kafka_servers::{
    HAS_KAFKA_TLS, KafkaClientCertificate, KafkaSasl, KafkaServers, KafkaTls, SaslMechanism, WithoutKafkaTls,
};
pub use kafka_target::{HAS_KAFKA, KafkaTarget, WithoutKafka};
pub use notifier::{Notifier, NotifierParts};
pub use published::{Acknowledged, CannotCompare, NotFound, Publication};
pub use queue_facts::QueueFactPublisher;
pub use relay::{Relay, RelayParts};
pub use webhooks::{HttpWebhookSender, Reach, WebhookDeliverer, WebhookDelivererParts};
#[cfg(not(feature = "kafka"))]
pub use without_kafka::KafkaReader;
