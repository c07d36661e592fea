//! The cases of [`EventPublisher`](encore_domain::ports::EventPublisher).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use encore_domain::event::message::{EVENT_DATA_BYTES_MAX, EventMessage, PublishOutcome};
use encore_domain::ports::EventPublisher;
use uuid::Uuid;

use crate::fixtures::{at_ms, id};

/// Stamps the cases of the port `EventPublisher`.
#[macro_export]
macro_rules! event_publisher {
    ($($with:tt)+) => {
        $crate::suite! { event_publisher [publishing, publishing_again, refusing] $($with)+ }
    };
}

/// Reads all that was published, once there are at least so many events.
pub type ReadPublished = Box<dyn Fn(usize) -> Pin<Box<dyn Future<Output = Vec<EventMessage>> + Send>> + Send + Sync>;

/// A publisher, and a reader of what it published.
pub struct PublisherBench {
    /// The port under test.
    pub publisher: Arc<dyn EventPublisher>,
    /// The type of the data of the events, and the data of an event with this number. A publisher may decode it.
    pub data: (&'static str, fn(u32) -> Vec<u8>),
    /// Reads what was published.
    pub read: ReadPublished,
    /// A guard that lives as long as the case. It may clean up when it is dropped.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl PublisherBench {
    fn message(&self, key: Uuid, number: u32) -> EventMessage {
        let (data_type, data) = self.data;
        EventMessage {
            id: format!("wallet.topped_up/{number}"),
            data_type: data_type.to_owned(),
            subject: format!("transfers/{number}"),
            at: at_ms(number.into()),
            key: key.to_string(),
            data: data(number),
        }
    }

    async fn publish(&self, batch: &[EventMessage]) -> Vec<PublishOutcome> {
        self.publisher.publish(batch).await.expect("the publisher is available")
    }
}

/// The events of a key, in their order.
fn of_key(events: &[EventMessage], key: Uuid) -> Vec<&EventMessage> {
    let key = key.to_string();
    events.iter().filter(|event| event.key == key).collect()
}

pub async fn publishing(bench: PublisherBench) {
    let keys: [Uuid; 3] = [id(), id(), id()];
    let events: Vec<EventMessage> = (0..90).map(|n| bench.message(keys[n as usize % 3], n)).collect();
    for batch in [&events[..1], &events[1..70], &events[70..]] {
        assert_eq!(bench.publish(batch).await, vec![PublishOutcome::Published; batch.len()]);
    }
    assert_eq!(bench.publish(&[]).await, []);
    let read = (bench.read)(events.len()).await;
    assert_eq!(read.len(), events.len());
    for key in keys {
        assert_eq!(of_key(&read, key), of_key(&events, key));
    }
}

pub async fn publishing_again(bench: PublisherBench) {
    let key = id();
    let events: Vec<EventMessage> = (0..10).map(|n| bench.message(key, n)).collect();
    for _ in 0..2 {
        assert_eq!(bench.publish(&events).await, vec![PublishOutcome::Published; 10]);
    }
    let read = (bench.read)(events.len()).await;
    let mut seen: Vec<&EventMessage> = Vec::new();
    for event in &read {
        if !seen.contains(&event) {
            seen.push(event);
        }
    }
    assert_eq!(seen, events.iter().collect::<Vec<_>>(), "each is there, and first in order");
}

pub async fn refusing(bench: PublisherBench) {
    let [bad, good]: [Uuid; 2] = [id(), id()];
    let mut events: Vec<EventMessage> = (0..6).map(|n| bench.message(if n % 2 == 0 { bad } else { good }, n)).collect();
    events[2].data = vec![0; EVENT_DATA_BYTES_MAX + 1];
    let outcomes = bench.publish(&events).await;
    let [first, second, refused, third, waiting, fourth] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    for published in [first, second, third, fourth] {
        assert_eq!(published, &PublishOutcome::Published);
    }
    assert!(matches!(refused, PublishOutcome::Refused(_)), "{refused:?}");
    assert_eq!(waiting, &PublishOutcome::Waiting);
    let read = (bench.read)(4).await;
    assert_eq!(of_key(&read, bad), [&events[0]]);
    assert_eq!(of_key(&read, good), [&events[1], &events[3], &events[5]]);
}
