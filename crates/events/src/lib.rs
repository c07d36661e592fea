#![doc = include_str!("../README.md")]

mod charts;
mod file;
mod file_reader;
mod kafka;
mod notifier;
mod relay;
mod webhooks;

pub use file::{FileLimits, FilePublisher, event_files};
pub use file_reader::FileReader;
pub use kafka::{KafkaPublisher, KafkaReader, KafkaTarget};
pub use notifier::{Notifier, NotifierParts};
pub use relay::{Relay, RelayParts};
pub use webhooks::{HttpWebhookSender, Reach, WebhookDeliverer, WebhookDelivererParts};
