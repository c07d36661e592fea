mod client;
mod publisher;
mod reader;

pub use publisher::KafkaPublisher;
pub use reader::{KafkaReadError, KafkaReader};
