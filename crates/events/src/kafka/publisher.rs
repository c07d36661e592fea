use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use encore_domain::error::Unavailable;
use encore_domain::event::message::{EventMessage, PublishOutcome, publishable, too_large};
use encore_domain::ports::EventPublisher;
use encore_event_format::SOURCE;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::client::{BrokerLog, client_config};
use crate::kafka_target::{KafkaTarget, WithoutKafka};

/// What the publisher is called in errors.
const WHAT: &str = "kafka";
/// How long a batch may take. The broker has it in milliseconds, unless it is away.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// How long the broker may take to answer about a topic.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of a message with its key and headers: the largest data, and room for the rest.
const MESSAGE_BYTES_MAX: &str = "1100000";
/// The headers that are read again.
const ID: &str = "ce_id";
const TYPE: &str = "ce_type";
const TIME: &str = "ce_time";
const SUBJECT: &str = "ce_subject";
/// The content type of the data.
const PROTOBUF: &str = "application/protobuf";

/// [`EventPublisher`] to a topic of Kafka, by an idempotent producer that waits for all replicas in sync. The key of a message is that
/// of the event, so that the events of a key are in one partition, in order.
///
/// A batch that is not acknowledged in time is given up together with its producer. The broker has appended a beginning of it at
/// most, because an idempotent producer leaves no gaps. So what is published again after that comes in order, too.
pub struct KafkaPublisher {
    target: KafkaTarget,
    log: BrokerLog,
    /// None before the first batch and after a failure.
    producer: Mutex<Option<FutureProducer<BrokerLog>>>,
}

impl KafkaTarget {
    /// The publisher to this target. It connects when there is something to publish.
    pub fn publisher(self) -> Result<Arc<dyn EventPublisher>, WithoutKafka> {
        Ok(Arc::new(KafkaPublisher::new(self)))
    }
}

/// A topic that cannot be used.
#[derive(Debug, Error)]
#[error("the topic {topic} cannot be created: {reason}")]
struct NoTopic {
    topic: String,
    reason: RDKafkaErrorCode,
}

impl KafkaPublisher {
    /// Publishes to this target. It connects when there is something to publish.
    pub fn new(target: KafkaTarget) -> Self {
        Self { target, log: BrokerLog::default(), producer: Mutex::default() }
    }

    /// A producer, once the topic exists.
    async fn open(&self) -> Result<FutureProducer<BrokerLog>, Box<dyn Error + Send + Sync>> {
        let mut config = client_config(&self.target.servers);
        config
            .set("client.id", "encore")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "2")
            // The partitioner of Kafka's own clients.
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            // Messages do not time out one by one, which would leave gaps; see the type's documentation.
            .set("message.timeout.ms", "0");
        let producer: FutureProducer<BrokerLog> = config.create_with_context(self.log.clone())?;
        match self.ensure_topic(&producer).await {
            Ok(()) => Ok(producer),
            Err(error) => {
                // It waits for its thread.
                let _ = spawn_blocking(move || drop(producer)).await;
                Err(error)
            }
        }
    }

    async fn ensure_topic(&self, producer: &FutureProducer<BrokerLog>) -> Result<(), Box<dyn Error + Send + Sync>> {
        if has_topic(producer, &self.target.topic).await? { Ok(()) } else { self.create_topic().await }
    }

    async fn create_topic(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let KafkaTarget { servers, topic, partitions, replication, is_compacted } = &self.target;
        let replication = TopicReplication::Fixed(replication.unwrap_or(-1));
        let new = NewTopic::new(topic, *partitions, replication).set("max.message.bytes", MESSAGE_BYTES_MAX);
        let new = if *is_compacted { new.set("cleanup.policy", "compact") } else { new };
        let admin: AdminClient<BrokerLog> = client_config(servers).create_with_context(self.log.clone())?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN));
        for created in admin.create_topics([&new], &options).await? {
            match created {
                Ok(_) => tracing::info!(topic, partitions, "topic for events created"),
                // Another instance was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, reason)) => return Err(NoTopic { topic, reason }.into()),
            }
        }
        Ok(())
    }

    /// Sends a batch and waits until all of it is acknowledged.
    async fn send(
        &self,
        producer: &FutureProducer<BrokerLog>,
        batch: &[EventMessage],
    ) -> Result<Vec<PublishOutcome>, KafkaError> {
        let mut outcomes = publishable(batch, too_large);
        let mut sent: Vec<(usize, DeliveryFuture)> = Vec::with_capacity(batch.len());
        for (index, event) in batch.iter().enumerate() {
            if outcomes[index] == PublishOutcome::Published {
                let record = record(&self.target.topic, event);
                sent.push((index, producer.send_result(record).map_err(|(error, _)| error)?));
            }
        }
        for (index, delivery) in sent {
            match delivery.await.map_err(|_| KafkaError::Canceled)? {
                Ok(_) => {}
                Err((error, _)) if is_refusal(&error) => refuse(batch, index, &error, &mut outcomes),
                Err((error, _)) => return Err(error),
            }
        }
        Ok(outcomes)
    }
}

#[async_trait]
impl EventPublisher for KafkaPublisher {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        let mut kept = self.producer.lock().await;
        let producer = match kept.take() {
            Some(producer) => producer,
            None => self.open().await.map_err(|error| Unavailable::new(WHAT, self.log.explain(error)))?,
        };
        let error: Box<dyn Error + Send + Sync> = match timeout(PUBLISH_WITHIN, self.send(&producer, batch)).await {
            Ok(Ok(outcomes)) => {
                *kept = Some(producer);
                return Ok(outcomes);
            }
            Ok(Err(error)) => error.into(),
            Err(elapsed) => elapsed.into(),
        };
        // It waits for its thread, and purges what it has not sent.
        let _ = spawn_blocking(move || drop(producer)).await;
        Err(Unavailable::new(WHAT, self.log.explain(error)))
    }
}

/// Whether the broker has the topic.
async fn has_topic(producer: &FutureProducer<BrokerLog>, topic: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let (producer, topic) = (producer.clone(), topic.to_owned());
    let asking = spawn_blocking(move || {
        let metadata = producer.client().fetch_metadata(Some(&topic), ANSWER_WITHIN)?;
        Ok::<_, KafkaError>(metadata.topics().iter().any(|it| it.name() == topic && !it.partitions().is_empty()))
    });
    Ok(asking.await.map_err(io::Error::other)??)
}

/// Whether the broker will never take this message.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidMessage, InvalidMessageSize, InvalidRecord, MessageSizeTooLarge};
    let refusals = [InvalidMessage, InvalidMessageSize, InvalidRecord, MessageSizeTooLarge];
    matches!(error, KafkaError::MessageProduction(code) if refusals.contains(code))
}

/// Notes that the broker refused an event. Later events of its key may have been appended; they are published again after it.
fn refuse(batch: &[EventMessage], index: usize, error: &KafkaError, outcomes: &mut [PublishOutcome]) {
    outcomes[index] = PublishOutcome::Refused(error.to_string());
    for (event, outcome) in batch.iter().zip(outcomes).skip(index + 1) {
        if event.key == batch[index].key {
            *outcome = PublishOutcome::Waiting;
        }
    }
}

/// An event in the binary mode of CloudEvents, of which the producer keeps a copy.
fn record<'event>(topic: &'event str, event: &'event EventMessage) -> FutureRecord<'event, String, Vec<u8>> {
    let time = event.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let headers = [
        ("ce_specversion", "1.0"),
        (ID, &event.id),
        ("ce_source", SOURCE),
        (TYPE, &event.data_type),
        (TIME, &time),
        (SUBJECT, &event.subject),
        ("content-type", PROTOBUF),
    ];
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    let headers = headers.into_iter().fold(owned, |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    FutureRecord::to(topic).key(&event.key).payload(&event.data).headers(headers)
}

/// The event of a message; none if it is not one that Encore published.
pub fn from_kafka(message: &impl Message) -> Option<EventMessage> {
    let headers = message.headers()?;
    let header = |key| {
        let found = headers.iter().find(|header| header.key == key)?.value?;
        String::from_utf8(found.to_vec()).ok()
    };
    Some(EventMessage {
        id: header(ID)?,
        data_type: header(TYPE)?,
        subject: header(SUBJECT)?,
        at: DateTime::parse_from_rfc3339(&header(TIME)?).ok()?.with_timezone(&Utc),
        key: String::from_utf8(message.key()?.to_vec()).ok()?,
        data: message.payload()?.to_vec(),
    })
}
