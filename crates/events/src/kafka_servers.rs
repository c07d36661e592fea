use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Whether this build reaches brokers by TLS and with SASL, by the feature `kafka-tls`.
pub const HAS_KAFKA_TLS: bool = cfg!(feature = "kafka-tls");

/// This build reaches brokers neither by TLS nor with SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this encore was built without TLS and SASL for Kafka: build it with `--features kafka-tls`, which needs make and perl beside Rust"
)]
pub struct WithoutKafkaTls;

/// Which brokers, and how they are reached.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaServers {
    /// `host:port` of some brokers, comma-separated.
    pub brokers: String,
    /// None if connections are not encrypted.
    pub tls: Option<KafkaTls>,
    /// None if Encore says nothing about who it is, or says it by its certificate.
    pub sasl: Option<KafkaSasl>,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaTls {
    /// A file of root certificates in PEM, by one of which those of the brokers must be signed; none for those of the system.
    pub roots: Option<PathBuf>,
    /// By what the brokers recognise Encore; none if they do not ask for a certificate.
    pub client: Option<KafkaClientCertificate>,
}

/// Encore's own certificate. The files are read when a client of the brokers begins, which is again after each failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaClientCertificate {
    /// A file with the certificate, and those between it and a root, in PEM.
    pub certificate: PathBuf,
    /// A file with its private key in PEM, not encrypted.
    pub key: PathBuf,
}

/// Who Encore is. `Debug` leaves out the password.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,
    /// The name of the user.
    pub user: String,
    /// The password of the user.
    pub password: String,
}

/// How a password is proven to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// It is sent as it is.
    Plain,
    /// By SCRAM (RFC 7677) with SHA-256.
    ScramSha256,
    /// By SCRAM with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// Every mechanism.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name by which brokers know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaServers {
    /// Brokers that are reached without TLS and SASL.
    pub fn plain(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), tls: None, sasl: None }
    }
}

impl fmt::Debug for KafkaServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, tls, sasl } = self;
        f.write_str(brokers)?;
        f.write_str(if tls.is_some() { " by TLS" } else { "" })?;
        sasl.as_ref().map_or(Ok(()), |sasl| write!(f, " with {sasl:?}"))
    }
}

impl fmt::Debug for KafkaSasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mechanism.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_printed() {
        let sasl =
            KafkaSasl { mechanism: SaslMechanism::ScramSha256, user: "encore".into(), password: "hunter2".into() };
        let servers = KafkaServers { tls: Some(KafkaTls::default()), sasl: Some(sasl), ..KafkaServers::plain("one:1") };
        assert_eq!(format!("{servers:?}"), "one:1 by TLS with SCRAM-SHA-256");
        assert_eq!(format!("{:?}", KafkaServers::plain("one:1")), "one:1");
    }
}
