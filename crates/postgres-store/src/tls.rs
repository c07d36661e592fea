//! TLS to Postgres: whose certificate is taken for the server's.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::{fs, io};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use thiserror::Error as ThisError;

/// The protocol by which a server knows that TLS begins at once, without a request in its own protocol before.
const ALPN_POSTGRES: &[u8] = b"postgresql";

/// Reading the certificates of the system takes milliseconds, so it is done once.
static SYSTEM_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// The certificate that a server must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Any: the connection is encrypted, but who is at the other end is not known.
    Anybody,
    /// One that a root of this file has signed, for whatever name.
    SignedBy(PathBuf),
    /// One for the host name of the URL, signed by a root of this file, or of the system if there is none.
    Named(Option<PathBuf>),
}

/// Why no certificate can be trusted.
#[derive(Debug, ThisError)]
pub enum RootsError {
    /// The file of `sslrootcert` cannot be read.
    #[error("sslrootcert: {} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file of `sslrootcert` is not PEM, or a certificate in it is malformed.
    #[error("sslrootcert: {} is not a file of certificates in PEM: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file of `sslrootcert` has no certificate.
    #[error("sslrootcert: {} contains no certificate", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// The system has no root certificates.
    #[error("the system has no root certificates: install them, or set sslrootcert")]
    NoneOfSystem,
    /// The TLS library supports no version that it may use.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// The settings with which such a server is spoken to. A file is read each time, so its roots can be changed while connections
/// are open. With `direct`, TLS begins without a request before.
pub(crate) fn client_config(trust: &Trust, direct: bool) -> Result<ClientConfig, RootsError> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let unnamed = |roots| Arc::new(Unnamed { roots, algorithms });
    let builder = match trust {
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(unnamed(None)),
        Trust::SignedBy(file) => builder.dangerous().with_custom_certificate_verifier(unnamed(Some(roots_of(file)?))),
        Trust::Named(Some(file)) => builder.with_root_certificates(roots_of(file)?),
        Trust::Named(None) if SYSTEM_ROOTS.is_empty() => return Err(RootsError::NoneOfSystem),
        Trust::Named(None) => builder.with_root_certificates(Arc::clone(&SYSTEM_ROOTS)),
    };
    let mut config = builder.with_no_client_auth();
    if direct {
        config.alpn_protocols = vec![ALPN_POSTGRES.to_vec()];
    }
    Ok(config)
}

fn roots_of(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |why: io::Error| RootsError::Unreadable { path: path.to_owned(), why: why.to_string() };
    let malformed = |why: &dyn Display| RootsError::Malformed { path: path.to_owned(), why: why.to_string() };
    let pem = fs::read(path).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| malformed(&error))?;
        roots.add(certificate).map_err(|error| malformed(&error))?;
    }
    if roots.is_empty() { Err(RootsError::None { path: path.to_owned() }) } else { Ok(roots) }
}

/// Takes a certificate for whatever name it is: any, or one that a root has signed.
#[derive(Debug)]
struct Unnamed {
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, self.algorithms.all)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
