use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::message::PublishOutcome;
use encore_domain::ports::{EventPublisher, Ids};
use encore_domain::queue::fact::QueueFacts;
use encore_event_format::encode_queue_facts;
use metrics::counter;

/// The most facts of a step, which takes some milliseconds of a core for them. More wait for the next step.
const FACTS_PER_STEP: usize = 20_000;

/// Publishes what happened to the fans of queues, best effort. See the crate's README. Clones are the same publisher.
#[derive(Clone)]
pub struct QueueFactPublisher {
    facts: Arc<QueueFacts>,
    publisher: Arc<dyn EventPublisher>,
    ids: Arc<dyn Ids>,
}

impl QueueFactPublisher {
    /// How often a step should be taken.
    pub const PUBLISH_EVERY: Duration = Duration::from_secs(1);

    /// Publishes these facts.
    pub fn new(facts: Arc<QueueFacts>, publisher: Arc<dyn EventPublisher>, ids: Arc<dyn Ids>) -> Self {
        Self { facts, publisher, ids }
    }

    /// Publishes what waits. What cannot be published is dropped.
    pub async fn step(&self) -> Result<(), Unavailable> {
        let (facts, dropped) = self.facts.take(FACTS_PER_STEP);
        count("dropped", dropped);
        if facts.is_empty() {
            return Ok(());
        }
        let messages = encode_queue_facts(&facts, || self.ids.next().to_string());
        let published = self.publisher.publish(&messages).await;
        let is_published = |outcomes: &Vec<PublishOutcome>| outcomes.iter().all(|it| *it == PublishOutcome::Published);
        let outcome = if published.as_ref().is_ok_and(is_published) { "published" } else { "dropped" };
        count(outcome, facts.len() as u64);
        published.map(drop)
    }
}

fn count(outcome: &'static str, facts: u64) {
    counter!("encore_queue_facts_total", "outcome" => outcome).increment(facts);
}
