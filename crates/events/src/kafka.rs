mod client;
mod publisher;
mod reader;
mod scan;

pub use publisher::KafkaPublisher;
pub use reader::{KafkaReadError, KafkaReader};
pub use scan::TopicScan;
