//! The contract of `EventPublisher` on Kafka: a broker that the test starts, or, without Java and Maven, the mock of librdkafka.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use encore_domain::event::message::EventMessage;
use encore_events::{KafkaPublisher, KafkaReader, KafkaServers, KafkaTarget};
use encore_port_tests::event_publisher::{publishing, publishing_again, refusing};
use encore_port_tests::{PublisherBench, event_publisher};
use encore_private_stores::KafkaServer;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// The broker of a test.
enum Broker {
    Real { server: KafkaServer, _folder: Folder },
    Mock(MockCluster<'static, DefaultProducerContext>),
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Broker {
    fn start() -> Self {
        if !KafkaServer::is_possible() {
            eprintln!("without Java and Maven the mock cluster of librdkafka stands for the broker");
            return Self::Mock(MockCluster::new(1).expect("a mock cluster"));
        }
        let folder = Folder(std::env::temp_dir().join(format!("encore-kafka-{}", std::process::id())));
        let jars = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-jars");
        let server = KafkaServer::start(&folder.0.join("kafka"), &jars).expect("Kafka starts");
        Self::Real { server, _folder: folder }
    }

    fn brokers(&self) -> String {
        match self {
            Self::Real { server, .. } => server.address(),
            Self::Mock(mock) => mock.bootstrap_servers(),
        }
    }

    /// A publisher to a topic of its own.
    fn bench(&self, topic: &str) -> PublisherBench {
        self.bench_of(topic, false)
    }

    fn bench_of(&self, topic: &str, is_compacted: bool) -> PublisherBench {
        if let Self::Mock(mock) = self {
            mock.create_topic(topic, 3, 1).expect("a topic");
        }
        let brokers = self.brokers();
        let servers = KafkaServers::plain(&brokers);
        let target = KafkaTarget { servers, topic: topic.to_owned(), partitions: 3, replication: None, is_compacted };
        let topic = topic.to_owned();
        PublisherBench {
            publisher: Arc::new(KafkaPublisher::new(target)),
            data: ("encore.events.v1.WalletToppedUp", |number| number.to_string().into_bytes()),
            read: Box::new(move |at_least| {
                let (brokers, topic) = (brokers.clone(), topic.clone());
                let reading = tokio::task::spawn_blocking(move || read(&brokers, &topic, at_least));
                Box::pin(async move { reading.await.expect("a topic that can be read") })
            }),
            keep: Box::new(()),
        }
    }
}

/// All events of a topic.
fn read(brokers: &str, topic: &str, at_least: usize) -> Vec<EventMessage> {
    let reader = KafkaReader::open(&KafkaServers::plain(brokers), topic, true).expect("the topic");
    let length = usize::try_from(reader.length()).expect("few");
    assert!(length >= at_least, "{length} messages, not {at_least}");
    let mut events = Vec::new();
    while events.len() < length {
        events.extend(reader.next(Duration::from_millis(100)).expect("the broker answers").flatten());
    }
    assert!(reader.exists() && reader.has_read_all().expect("the broker answers"));
    events
}

/// The cleanup policy of a topic.
async fn cleanup_policy(brokers: &str, topic: &str) -> Option<String> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await;
    let described = described.expect("the broker answers").remove(0).expect("the topic");
    described.get("cleanup.policy").and_then(|entry| entry.value.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let broker = Broker::start();
    assert_eq!(event_publisher!(@names), ["publishing", "publishing_again", "refusing"]);
    publishing(broker.bench("publishing")).await;
    publishing_again(broker.bench("publishing-again")).await;
    refusing(broker.bench("refusing")).await;
    publishing(broker.bench_of("compacted", true)).await;
    if let Broker::Real { .. } = &broker {
        let policies = [
            cleanup_policy(&broker.brokers(), "publishing").await,
            cleanup_policy(&broker.brokers(), "compacted").await,
        ];
        assert_eq!(policies.map(Option::unwrap_or_default), ["delete", "compact"]);
        let servers = KafkaServers::plain(&broker.brokers());
        let absent = tokio::task::spawn_blocking(move || KafkaReader::open(&servers, "absent", true));
        assert!(!absent.await.expect("no panic").expect("the broker answers").exists());
    }
}
