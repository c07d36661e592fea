//! Brokers with TLS and SASL: who may publish and read there, and who may not. It needs Java and Maven.
#![expect(clippy::expect_used, reason = "tests")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use encore_domain::event::message::{EventMessage, PublishOutcome};
use encore_domain::ports::EventPublisher;
use encore_events::{
    KafkaClientCertificate, KafkaPublisher, KafkaReader, KafkaSasl, KafkaServers, KafkaTarget, KafkaTls, SaslMechanism,
};
use encore_private_stores::certificates::CertificateAuthority;
use encore_private_stores::{KafkaSecurity, KafkaServer};
use uuid::Uuid;

const USER: &str = "encore";
const PASSWORD: &str = "correct-horse-battery";

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sasl(mechanism: SaslMechanism, password: &str) -> Option<KafkaSasl> {
    Some(KafkaSasl { mechanism, user: USER.to_owned(), password: password.to_owned() })
}

fn tls(roots: &Path) -> Option<KafkaTls> {
    Some(KafkaTls { roots: Some(roots.to_owned()), client: None })
}

/// Publishes an event to a topic of its own, which is created, and reads it again.
async fn publishes_and_reads(servers: &KafkaServers, topic: &str) {
    let target = KafkaTarget {
        servers: servers.clone(),
        topic: topic.to_owned(),
        partitions: 1,
        replication: None,
        is_compacted: false,
    };
    let event = event(topic);
    let outcomes = KafkaPublisher::new(target).publish(std::slice::from_ref(&event)).await.expect("it is published");
    assert_eq!(outcomes, [PublishOutcome::Published], "{topic}");
    let (servers, topic) = (servers.clone(), topic.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let reader = KafkaReader::open(&servers, &topic, true).expect("the topic");
        assert_eq!(reader.length(), 1);
        std::iter::repeat_with(|| reader.next(Duration::from_millis(100)).expect("the broker answers")).flatten().next()
    });
    assert_eq!(read.await.expect("it is read").flatten(), Some(event));
}

fn event(id: &str) -> EventMessage {
    let at = DateTime::from_timestamp(1_780_000_000, 0).expect("a time");
    let data_type = "encore.events.v1.WalletToppedUp".to_owned();
    EventMessage {
        id: id.to_owned(),
        data_type,
        subject: "wallet".to_owned(),
        at,
        key: Uuid::nil().to_string(),
        data: vec![1],
    }
}

/// Why nothing is published, and why nothing can be read, with all causes.
async fn is_refused(servers: &KafkaServers) -> [String; 2] {
    let topic = "refused".to_owned();
    let target = KafkaTarget {
        servers: servers.clone(),
        topic: topic.clone(),
        partitions: 1,
        replication: None,
        is_compacted: false,
    };
    let error = KafkaPublisher::new(target).publish(&[event("refused")]).await.expect_err("it is refused");
    let servers = servers.clone();
    let reading = tokio::task::spawn_blocking(move || KafkaReader::open(&servers, &topic, true).err());
    let reading = reading.await.expect("it ends").expect("it is refused");
    [causes(&error), causes(&reading)]
}

fn causes(error: &dyn Error) -> String {
    let rest = error.source().map(causes).unwrap_or_default();
    format!("{error}; {rest}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_are_reached_by_tls_and_with_sasl() {
    assert!(KafkaServer::is_possible(), "the test needs Java and Maven");
    let folder = Folder(std::env::temp_dir().join(format!("encore-kafka-tls-{}", std::process::id())));
    fs::create_dir_all(&folder.0).expect("a folder");
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let (authority, stranger) = (authority.expect("an authority"), stranger.expect("another"));
    let broker = authority.issue(&["127.0.0.1"]).expect("a certificate");
    let security = KafkaSecurity {
        root: &authority.root(),
        certificate: &broker.certificate,
        key: &broker.key,
        user: USER,
        password: PASSWORD,
    };
    let jars = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-jars");
    let server = KafkaServer::start_secured(&folder.0.join("kafka"), &jars, &security).expect("Kafka starts");
    let roots = folder.with("roots.pem", &authority.root());
    let with_password = KafkaServers::plain(&server.sasl_address().expect("a port"));
    let with_certificate = KafkaServers::plain(&server.tls_address().expect("a port"));

    for mechanism in SaslMechanism::ALL {
        let servers = KafkaServers { tls: tls(&roots), sasl: sasl(mechanism, PASSWORD), ..with_password.clone() };
        publishes_and_reads(&servers, mechanism.name()).await;
        let servers = KafkaServers { sasl: sasl(mechanism, "wrong-password"), ..servers };
        for why in is_refused(&servers).await {
            assert!(why.contains("uthentication"), "{}: {why}", mechanism.name());
            assert!(!why.contains("wrong-password"), "{why}");
        }
    }
    let own = authority.issue(&["encore"]).expect("a certificate");
    let client = |certificate: &str, key: &str| {
        let (certificate, key) = (folder.with("own.pem", certificate), folder.with("key.pem", key));
        Some(KafkaTls { roots: Some(roots.clone()), client: Some(KafkaClientCertificate { certificate, key }) })
    };
    let servers = KafkaServers { tls: client(&own.certificate, &own.key), ..with_certificate.clone() };
    publishes_and_reads(&servers, "certificate").await;

    let other = stranger.issue(&["encore"]).expect("a certificate");
    is_refused(&KafkaServers { tls: client(&other.certificate, &other.key), ..with_certificate.clone() }).await;
    is_refused(&KafkaServers { tls: tls(&roots), ..with_certificate }).await;
    let unknown = folder.with("unknown.pem", &stranger.root());
    let scram = || sasl(SaslMechanism::ScramSha256, PASSWORD);
    for why in is_refused(&KafkaServers { tls: tls(&unknown), sasl: scram(), ..with_password.clone() }).await {
        assert!(why.contains("certificate verify failed"), "{why}");
    }
    is_refused(&KafkaServers { sasl: scram(), ..with_password.clone() }).await;
    // A broker that does not have the name by which it is reached is another one.
    let by_name = with_password.brokers.replace("127.0.0.1", "localhost");
    let by_name = KafkaServers { brokers: by_name, tls: tls(&roots), sasl: scram() };
    for why in is_refused(&by_name).await {
        assert!(why.contains("certificate verify failed"), "{why}");
    }
}
