//! Where the server listens, and for how many connections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use encore_grpc::{ConnectionLimits, TrustedProxies};

use super::check::Check;
use crate::listener_tls::TlsFiles;

/// The most connections that can be configured: a process cannot have more files open on most systems.
const CONNECTIONS_LIMIT: u32 = 1_000_000;
/// The highest pace of a fan's calls that can be configured. Calls are a millisecond apart then.
const CALLS_PER_SECOND_LIMIT: u32 = 1_000;

/// Where to listen.
#[derive(Args, Clone)]
pub struct ListenArgs {
    /// The address to listen on.
    #[arg(long, env = "ENCORE_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,
    /// The most connections (1 to 1000000). Fewer if the process may have fewer files open.
    #[arg(long, env = "ENCORE_CONNECTIONS", default_value = "10000")]
    pub connections: String,
    /// Proxies whose `x-forwarded-for` says where a call comes from: addresses and networks such as `10.0.0.0/8`, comma-separated.
    /// Default: none; a call comes from the other end of its connection.
    #[arg(long, env = "ENCORE_TRUSTED_PROXIES")]
    pub trusted_proxies: Option<String>,
    /// The most connections of one address (1 to 1000000). Raise it if all clients come through one proxy.
    #[arg(long, env = "ENCORE_CONNECTIONS_PER_ADDRESS", default_value = "1000")]
    pub connections_per_address: String,
    /// How many calls a second of one fan each instance answers without a wait (1 to 1000). Twice as many may come at once.
    #[arg(long, env = "ENCORE_CALLS_PER_USER_PER_SECOND", default_value = "100")]
    pub calls_per_user_per_second: String,
    /// The certificate with which clients are served by TLS, and those between it and a root, as a file in PEM. It is read again when
    /// it changes. Default: no TLS.
    #[arg(long, env = "ENCORE_TLS_CERTIFICATE_FILE")]
    pub tls_certificate_file: Option<String>,
    /// The private key of the certificate, as a file in PEM.
    #[arg(long, env = "ENCORE_TLS_KEY_FILE")]
    pub tls_key_file: Option<String>,
    /// Root certificates in PEM, by one of which the certificate of each client must be signed. Default: clients need none.
    #[arg(long, env = "ENCORE_TLS_CLIENT_CA_FILE")]
    pub tls_client_ca_file: Option<String>,
    /// The address on which Prometheus metrics are served, without authentication. Default: no metrics.
    #[arg(long, env = "ENCORE_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,
    /// The pause between two audits of what is on sale, whose findings are metrics, in seconds (0 to 86400; 0: no audits).
    #[arg(long, env = "ENCORE_AUDIT_SECONDS", default_value = "60")]
    pub audit_seconds: String,
}

/// How metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where.
    pub listen: SocketAddr,
    /// The pause between two audits of what is on sale; none if it is not audited.
    pub audit_every: Option<Duration>,
}

/// The checked arguments, but for the address.
pub(super) struct Listen {
    pub(super) limits: ConnectionLimits,
    pub(super) metrics: Option<MetricsConfig>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) proxies: TrustedProxies,
}

impl ListenArgs {
    /// Checks the address to listen on.
    pub(super) fn address(&self, check: &mut Check) -> Option<SocketAddr> {
        check.read("ENCORE_LISTEN", self.listen.parse())
    }

    /// Checks the other arguments.
    pub(super) fn read(&self, check: &mut Check) -> Option<Listen> {
        let limits = self.limits(check);
        let metrics = self.metrics(check);
        let tls = self.tls(check);
        let proxies = self.trusted_proxies.as_deref().map_or(Ok(TrustedProxies::default()), str::parse);
        let proxies = check.read("ENCORE_TRUSTED_PROXIES", proxies);
        Some(Listen { limits: limits?, metrics, tls, proxies: proxies? })
    }

    fn limits(&self, check: &mut Check) -> Option<ConnectionLimits> {
        let all = check.number("ENCORE_CONNECTIONS", &self.connections, 1..=CONNECTIONS_LIMIT);
        let of_one = &self.connections_per_address;
        let of_one = check.number("ENCORE_CONNECTIONS_PER_ADDRESS", of_one, 1..=CONNECTIONS_LIMIT);
        let per_second = &self.calls_per_user_per_second;
        let per_second = check.number("ENCORE_CALLS_PER_USER_PER_SECOND", per_second, 1..=CALLS_PER_SECOND_LIMIT);
        Some(ConnectionLimits {
            connections_max: all? as usize,
            per_address_max: of_one? as usize,
            calls_per_user_per_second: per_second?,
            ..ConnectionLimits::default()
        })
    }

    /// The files for TLS; none if there is no TLS. What cannot be used is recorded as a violation.
    fn tls(&self, check: &mut Check) -> Option<TlsFiles> {
        let client_ca = self.tls_client_ca_file.as_ref().map(PathBuf::from);
        let (certificate, key) = match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => (certificate.into(), key.into()),
            (None, None) => {
                if client_ca.is_some() {
                    check.0.push("ENCORE_TLS_CLIENT_CA_FILE: requires ENCORE_TLS_CERTIFICATE_FILE".to_owned());
                }
                return None;
            }
            (Some(_), None) => {
                check.0.push("ENCORE_TLS_KEY_FILE: must be set beside ENCORE_TLS_CERTIFICATE_FILE".to_owned());
                return None;
            }
            (None, Some(_)) => {
                check.0.push("ENCORE_TLS_CERTIFICATE_FILE: must be set beside ENCORE_TLS_KEY_FILE".to_owned());
                return None;
            }
        };
        let files = TlsFiles { certificate, key, client_ca };
        match files.check() {
            Ok(()) => Some(files),
            Err(error) => {
                check.0.push(error.to_string());
                None
            }
        }
    }

    /// How metrics are served; none if they are not. An invalid value is recorded as a violation.
    fn metrics(&self, check: &mut Check) -> Option<MetricsConfig> {
        let audit_every = check.seconds("ENCORE_AUDIT_SECONDS", &self.audit_seconds, 0..=86_400)?;
        let listen = self.metrics_listen.as_deref()?;
        let listen = check.read("ENCORE_METRICS_LISTEN", listen.parse::<SocketAddr>())?;
        Some(MetricsConfig { listen, audit_every: (!audit_every.is_zero()).then_some(audit_every) })
    }
}
