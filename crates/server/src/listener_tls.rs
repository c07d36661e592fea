//! TLS of the listener, by files that may be replaced while the server runs.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use encore_grpc::ListenerTls;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{Error as RustlsError, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the files are read. What replaces certificates does so days before the old ones expire.
const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// gRPC is HTTP/2; gRPC-Web may come by HTTP/1.1, too.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

const CERTIFICATE: &str = "ENCORE_TLS_CERTIFICATE_FILE";
const KEY: &str = "ENCORE_TLS_KEY_FILE";
const CLIENT_CA: &str = "ENCORE_TLS_CLIENT_CA_FILE";

/// The files, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, and those between it and a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots by which the certificates of clients must be signed; none if clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}: {why}")]
pub struct TlsError {
    variable: &'static str,
    why: String,
}

/// What the files contain.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsFiles {
    /// Whether the server could begin with them.
    pub fn check(&self) -> Result<(), TlsError> {
        self.read()?.settings().map(drop)
    }

    fn read(&self) -> Result<Contents, TlsError> {
        let read = |variable, file: &PathBuf| {
            fs::read(file).map_err(|error| refused(variable, &format!("{} cannot be read: {error}", file.display())))
        };
        Ok(Contents {
            certificate: read(CERTIFICATE, &self.certificate)?,
            key: read(KEY, &self.key)?,
            client_ca: self.client_ca.as_ref().map(|file| read(CLIENT_CA, file)).transpose()?,
        })
    }
}

impl Contents {
    fn settings(&self) -> Result<ServerConfig, TlsError> {
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        let no_key = |_| refused(KEY, &"contains no private key in PEM that is not encrypted");
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(no_key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(CERTIFICATE, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(client_ca) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(CLIENT_CA, client_ca)? {
                    roots.add(root).map_err(|error| refused(CLIENT_CA, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(CLIENT_CA, &error))?)
            }
        };
        let settings = builder.with_single_cert(chain, key);
        let mut settings = settings.map_err(|error| {
            if matches!(error, RustlsError::InconsistentKeys(_)) {
                return refused(KEY, &"is not the key of the certificate");
            }
            let is_of_certificate = matches!(error, RustlsError::InvalidCertificate(_));
            refused(if is_of_certificate { CERTIFICATE } else { KEY }, &error)
        })?;
        settings.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(settings)
    }
}

fn certificates(variable: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| refused(variable, &error))?;
    if certificates.is_empty() { Err(refused(variable, &"contains no certificate in PEM")) } else { Ok(certificates) }
}

fn refused(variable: &'static str, why: &dyn Display) -> TlsError {
    TlsError { variable, why: why.to_string() }
}

/// The settings by the files, kept up to date.
pub struct ReloadedTls {
    files: TlsFiles,
    used: Contents,
    settings: watch::Sender<Arc<ServerConfig>>,
    /// Why the files cannot be used now, which was logged.
    failure: Option<TlsError>,
}

impl ReloadedTls {
    /// Reads the files for the first time.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let used = files.read()?;
        let settings = watch::Sender::new(Arc::new(used.settings()?));
        Ok(Self { files, used, settings, failure: None })
    }

    /// What a listener begins new connections with.
    pub fn listener(&self) -> ListenerTls {
        ListenerTls::new(self.settings.subscribe())
    }

    /// Reads the files again. If they have changed and can be used, new connections begin with them. While they cannot, for instance
    /// because the certificate is replaced and its key is not yet, those before stay in use; the log says so once.
    pub fn reload(&mut self) {
        match self.changed() {
            Ok(None) => self.failure = None,
            Ok(Some((contents, settings))) => {
                info!("the certificate of the listener was replaced");
                (self.used, self.failure) = (contents, None);
                self.settings.send_replace(Arc::new(settings));
            }
            Err(error) if self.failure.as_ref() == Some(&error) => {}
            Err(error) => {
                warn!(%error, "the certificate of the listener cannot be replaced; the one before stays in use");
                self.failure = Some(error);
            }
        }
    }

    fn changed(&self) -> Result<Option<(Contents, ServerConfig)>, TlsError> {
        let contents = self.files.read()?;
        if contents == self.used {
            return Ok(None);
        }
        let settings = contents.settings()?;
        Ok(Some((contents, settings)))
    }

    /// Reads the files again and again, until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(RELOAD_EVERY)).await.is_some() {
            self.reload();
        }
    }
}

#[cfg(test)]
mod tests;
