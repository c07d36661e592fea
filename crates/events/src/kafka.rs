mod publisher;
mod reader;

pub use publisher::{KafkaPublisher, KafkaTarget};
pub use reader::KafkaReader;
