//! The brokers of Kafka, and how they are reached.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use encore_events::{
    HAS_KAFKA, HAS_KAFKA_TLS, KafkaClientCertificate, KafkaSasl, KafkaServers, KafkaTls, SaslMechanism, WithoutKafka,
    WithoutKafkaTls,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::check::{Check, ConfigErrors, Recorded};

const BROKERS: &str = "ENCORE_KAFKA_BROKERS";
const TLS: &str = "ENCORE_KAFKA_TLS";
const CA: &str = "ENCORE_KAFKA_CA_FILE";
const CERTIFICATE: &str = "ENCORE_KAFKA_CERTIFICATE_FILE";
const KEY: &str = "ENCORE_KAFKA_KEY_FILE";
const MECHANISM: &str = "ENCORE_KAFKA_SASL_MECHANISM";
const USER: &str = "ENCORE_KAFKA_SASL_USER";
const PASSWORD: &str = "ENCORE_KAFKA_SASL_PASSWORD";

/// The brokers of Kafka, and how they are reached.
#[derive(Args, Clone, Default)]
pub struct KafkaArgs {
    /// `host:port` of some brokers of Kafka, comma-separated. Only in a build with the feature `kafka`.
    #[arg(long, env = "ENCORE_KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,
    /// The topic of events. It is created by what publishes, if it does not exist.
    #[arg(long, env = "ENCORE_KAFKA_TOPIC", default_value = "encore.events")]
    pub kafka_topic: String,
    /// Whether brokers are reached by TLS: `on` or `off`. Only in a build with the feature `kafka-tls`, and so is all that follows.
    #[arg(long, env = "ENCORE_KAFKA_TLS", default_value = "off")]
    pub kafka_tls: String,
    /// A file of root certificates in PEM, by one of which those of the brokers must be signed. Without it, those of the system.
    #[arg(long, env = "ENCORE_KAFKA_CA_FILE")]
    pub kafka_ca_file: Option<PathBuf>,
    /// A file with Encore's own certificate in PEM, for brokers that ask for one.
    #[arg(long, env = "ENCORE_KAFKA_CERTIFICATE_FILE")]
    pub kafka_certificate_file: Option<PathBuf>,
    /// A file with its private key in PEM.
    #[arg(long, env = "ENCORE_KAFKA_KEY_FILE")]
    pub kafka_key_file: Option<PathBuf>,
    /// How the password is proven to the brokers: `PLAIN`, which needs TLS, `SCRAM-SHA-256` or `SCRAM-SHA-512`. Default: Encore logs in
    /// nowhere.
    #[arg(long, env = "ENCORE_KAFKA_SASL_MECHANISM")]
    pub kafka_sasl_mechanism: Option<String>,
    /// The user as whom Encore logs in.
    #[arg(long, env = "ENCORE_KAFKA_SASL_USER")]
    pub kafka_sasl_user: Option<String>,
    /// The password of that user. On the command line other users of the machine can read it: prefer the variable or the file.
    #[arg(long, env = "ENCORE_KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub kafka_sasl_password: Option<String>,
    /// A file with the value of `ENCORE_KAFKA_SASL_PASSWORD`.
    #[arg(long, env = "ENCORE_KAFKA_SASL_PASSWORD_FILE")]
    pub kafka_sasl_password_file: Option<String>,
}

/// Where events are in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaTopic {
    /// The brokers.
    pub servers: KafkaServers,
    /// The topic.
    pub topic: String,
}

impl KafkaArgs {
    /// Checks the arguments; none if no brokers are named.
    pub fn check(&self) -> Result<Option<KafkaTopic>, ConfigErrors> {
        let mut check = Check::default();
        match self.read(&mut check) {
            Ok(topic) if check.0.is_empty() => Ok(topic),
            _ => Err(ConfigErrors(check.0)),
        }
    }

    /// The topic, if brokers are named; an error is recorded.
    pub(super) fn read(&self, check: &mut Check) -> Result<Option<KafkaTopic>, Recorded> {
        let topic = check.read("ENCORE_KAFKA_TOPIC", topic_name(&self.kafka_topic));
        let tls = self.tls(check);
        let sasl = self.sasl(check, tls.as_ref().is_ok_and(Option::is_none));
        let Some(brokers) = self.kafka_brokers.as_deref() else {
            if tls.as_ref().is_ok_and(Option::is_some) {
                check.0.push(format!("{TLS}: requires {BROKERS}"));
            }
            if sasl.as_ref().is_ok_and(Option::is_some) {
                check.0.push(format!("{MECHANISM}: requires {BROKERS}"));
            }
            return Ok(None);
        };
        if !HAS_KAFKA {
            check.read::<()>(BROKERS, Err(WithoutKafka));
            return Err(Recorded);
        }
        if !HAS_KAFKA_TLS {
            let wants = [(TLS, self.kafka_tls == "on"), (MECHANISM, self.kafka_sasl_mechanism.is_some())];
            for (name, _) in wants.into_iter().filter(|(_, is_set)| *is_set) {
                check.read::<()>(name, Err(WithoutKafkaTls));
            }
        }
        let is_address = |broker: &str| {
            let parts =
                broker.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace));
            parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        };
        let are_addresses = brokers.split(',').map(str::trim).all(is_address);
        let rule = "must be host:port, or several, comma-separated";
        let brokers = check.read(BROKERS, if are_addresses { Ok(brokers.to_owned()) } else { Err(rule) });
        let servers = KafkaServers { brokers: brokers.ok_or(Recorded)?, tls: tls?, sasl: sasl? };
        Ok(Some(KafkaTopic { servers, topic: topic.ok_or(Recorded)? }))
    }

    fn tls(&self, check: &mut Check) -> Result<Option<KafkaTls>, Recorded> {
        let is_on = match self.kafka_tls.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("must be on or off"),
        };
        let is_on = check.read(TLS, is_on).ok_or(Recorded)?;
        let files =
            [(CA, &self.kafka_ca_file), (CERTIFICATE, &self.kafka_certificate_file), (KEY, &self.kafka_key_file)];
        if !is_on {
            let set: Vec<&str> = files.into_iter().filter_map(|(name, file)| file.as_ref().map(|_| name)).collect();
            check.0.extend(set.iter().map(|name| format!("{name}: requires {TLS}=on")));
            return if set.is_empty() { Ok(None) } else { Err(Recorded) };
        }
        let roots = self.kafka_ca_file.clone();
        let roots_fit = roots.as_deref().is_none_or(|file| certificates(check, CA, file).is_some());
        let client = match (&self.kafka_certificate_file, &self.kafka_key_file) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => client_certificate(check, certificate, key).map(Some),
            (Some(_), None) => {
                check.0.push(format!("{KEY}: must be set beside {CERTIFICATE}"));
                None
            }
            (None, Some(_)) => {
                check.0.push(format!("{CERTIFICATE}: must be set beside {KEY}"));
                None
            }
        };
        match client {
            Some(client) if roots_fit => Ok(Some(KafkaTls { roots, client })),
            Some(_) | None => Err(Recorded),
        }
    }

    /// Who Encore is; `in_clear` if connections are not encrypted.
    fn sasl(&self, check: &mut Check, in_clear: bool) -> Result<Option<KafkaSasl>, Recorded> {
        let (value, file) = (self.kafka_sasl_password.as_deref(), self.kafka_sasl_password_file.as_deref());
        let Some(name) = &self.kafka_sasl_mechanism else {
            let set = [(USER, self.kafka_sasl_user.is_some()), (PASSWORD, value.or(file).is_some())];
            let set: Vec<&str> = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
            check.0.extend(set.iter().map(|name| format!("{name}: requires {MECHANISM}")));
            return if set.is_empty() { Ok(None) } else { Err(Recorded) };
        };
        let mechanism = SaslMechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name);
        let rule = || format!("must be one of {}", SaslMechanism::ALL.map(SaslMechanism::name).join(", "));
        let mechanism = check.read(MECHANISM, mechanism.ok_or_else(rule));
        if in_clear && mechanism == Some(SaslMechanism::Plain) {
            check.0.push(format!("{MECHANISM}: PLAIN requires {TLS}=on, because it sends the password as it is"));
        }
        let is_text = |text: &String| !text.is_empty() && !text.contains(char::is_control);
        let rule = "must be set, without control characters";
        let user = check.read(USER, self.kafka_sasl_user.clone().filter(is_text).ok_or(rule));
        let password = check.secret(PASSWORD, value, file)?;
        let password = check.read(PASSWORD, password.filter(is_text).ok_or(rule));
        let (mechanism, user) = (mechanism.ok_or(Recorded)?, user.ok_or(Recorded)?);
        Ok(Some(KafkaSasl { mechanism, user, password: password.ok_or(Recorded)? }))
    }
}

/// The name of a topic, if it is one.
pub(super) fn topic_name(name: &str) -> Result<String, &'static str> {
    let fits = (1..=249).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(name.to_owned()) } else { Err("must be 1 to 249 letters, digits or - _ .") }
}

/// Encore's certificate, whose key must be the one in the other file.
fn client_certificate(check: &mut Check, certificate: &Path, key: &Path) -> Option<KafkaClientCertificate> {
    let chain = certificates(check, CERTIFICATE, certificate);
    let pem = check.read(KEY, fs::read(key).map_err(|error| format!("cannot be read: {error}")))?;
    let rule = "contains no private key in PEM that is not encrypted";
    let private = check.read(KEY, PrivateKeyDer::from_pem_slice(&pem).map_err(|_| rule))?;
    // What only this library cannot read may be fine for the other.
    if let Err(rustls::Error::InconsistentKeys(_)) = CertifiedKey::from_der(chain?, private, &ring::default_provider())
    {
        check.0.push(format!("{KEY}: is not the key of the certificate"));
        return None;
    }
    Some(KafkaClientCertificate { certificate: certificate.to_owned(), key: key.to_owned() })
}

fn certificates(check: &mut Check, name: &str, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let pem = check.read(name, fs::read(file).map_err(|error| format!("cannot be read: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    check.read(name, found.ok_or("contains no certificate in PEM"))
}

#[cfg(test)]
mod tests;
