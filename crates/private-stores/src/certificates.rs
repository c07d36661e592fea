//! Certificates for tests of TLS.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// An authority that a test trusts or does not trust.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
pub struct IssuedCertificate {
    /// The certificate, without that of the authority.
    pub certificate: String,
    /// The private key, in PKCS #8.
    pub key: String,
}

impl CertificateAuthority {
    /// A new authority. No two of a process have the same name or key.
    pub fn new() -> Result<Self, Box<dyn Error>> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut params = CertificateParams::new([])?;
        let name = format!("Encore test authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate in PEM: the root that a test trusts.
    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these host names and IP addresses, for servers and for clients.
    pub fn issue(&self, names: &[&str]) -> Result<IssuedCertificate, Box<dyn Error>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.0)?;
        Ok(IssuedCertificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
