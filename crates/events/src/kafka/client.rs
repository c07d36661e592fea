//! What every client of the brokers has in common.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

use crate::kafka_servers::{KafkaServers, KafkaTls};

/// The settings by which a client reaches these brokers.
pub(super) fn client_config(servers: &KafkaServers) -> ClientConfig {
    let KafkaServers { brokers, tls, sasl } = servers;
    let mut config = ClientConfig::new();
    let protocol = match (tls.is_some(), sasl.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    config.set("bootstrap.servers", brokers).set("security.protocol", protocol);
    if let Some(KafkaTls { roots, client }) = tls {
        // A library that is linked statically does not know where a system keeps its roots: `probe` looks.
        config.set("ssl.ca.location", roots.as_deref().map_or("probe".to_owned(), text));
        // The host of the certificate must be that of the broker.
        config.set("ssl.endpoint.identification.algorithm", "https");
        if let Some(client) = client {
            config.set("ssl.certificate.location", text(&client.certificate));
            config.set("ssl.key.location", text(&client.key));
        }
    }
    if let Some(sasl) = sasl {
        config.set("sasl.mechanism", sasl.mechanism.name());
        config.set("sasl.username", &sasl.user).set("sasl.password", &sasl.password);
    }
    config
}

/// The library takes text.
fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the library says of connections is for debugging, since the relay's worker logs once that Kafka is away. The last of it is kept,
/// because errors of calls say only that no broker answered.
#[derive(Clone, Default)]
pub(super) struct BrokerLog(Arc<Mutex<Option<String>>>);

/// An error, and what was said of the connections before.
#[derive(Debug, Error)]
#[error("{reason}")]
struct Explained {
    reason: String,
    source: Box<dyn Error + Send + Sync>,
}

impl ClientContext for BrokerLog {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        // The end of a partition is no failure. That all brokers are down follows what is wrong with each, and would hide it.
        let says_nothing = [RDKafkaErrorCode::PartitionEOF, RDKafkaErrorCode::AllBrokersDown];
        if error.rdkafka_error_code().is_some_and(|code| says_nothing.contains(&code)) {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ConsumerContext for BrokerLog {}

impl BrokerLog {
    /// The error, with what was said of the connections last.
    pub(super) fn explain(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Box<dyn Error + Send + Sync> {
        let source = source.into();
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Explained { reason, source }.into(),
            None => source,
        }
    }
}
