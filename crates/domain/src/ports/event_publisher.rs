use async_trait::async_trait;

use crate::error::Unavailable;
use crate::event::message::{EventMessage, PublishOutcome};

/// Where events are published: a broker, or a file.
///
/// # Contract
/// - `publishing`: what is published can be read as it was given, the events of one key in their order
/// - `publishing_again`: the same events may be published again, and are read at least once
/// - `refusing`: an event that cannot be published is refused by itself; those of its key after it wait, and all others are published
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes a batch, and answers when what it calls published is durable: one outcome for each event, in order. If it is
    /// unavailable, some events may have been published.
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable>;
}
