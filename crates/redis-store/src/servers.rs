use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisError, TlsCertificates};
use thiserror::Error;

/// How long sent data may stay unacknowledged before the kernel closes the connection.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// A Redis server, or nodes of a Redis Cluster. Clones share the addresses.
#[derive(Clone)]
pub struct RedisServers(pub(crate) Arc<[Client]>);

/// Why URLs name no servers. The text repeats no password.
#[derive(Debug, Error)]
pub enum ServersError {
    /// A URL or the root certificates cannot be read.
    #[error(transparent)]
    Driver(#[from] RedisError),
    /// Some are encrypted and some are not.
    #[error("either all nodes of a cluster have rediss:// URLs or none has")]
    Mixed,
    /// The URL turns verification off.
    #[error("#insecure is refused, because it would not be known who is at the other end")]
    Insecure,
    /// Root certificates were given for connections that are not encrypted.
    #[error("root certificates need rediss:// URLs")]
    RootsWithoutTls,
    /// There is no certificate among what was given.
    #[error("there is no certificate in PEM among the root certificates")]
    NoRoots,
}

impl RedisServers {
    /// Reads one URL, or several of nodes of one Redis Cluster, separated by commas: `redis://`, or `rediss://` for TLS. The
    /// certificate of a server must be for the host of the URL, and be signed by one of these roots in PEM, or by one of the
    /// system without them.
    pub fn parse(urls: &str, roots: Option<&[u8]>) -> Result<Self, ServersError> {
        // Fails only if another part of the process was first, with its own or the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if roots.is_some_and(|roots| !contains_certificate(roots)) {
            return Err(ServersError::NoRoots);
        }
        let servers = urls.split(',').map(|url| server(url.trim(), roots)).collect::<Result<Arc<[_]>, _>>()?;
        let encrypted = servers.iter().filter(|server| is_encrypted(server)).count();
        if (1..servers.len()).contains(&encrypted) { Err(ServersError::Mixed) } else { Ok(Self(servers)) }
    }
}

fn server(url: &str, roots: Option<&[u8]>) -> Result<Client, ServersError> {
    let info = url.into_connection_info()?.set_tcp_settings(tcp_settings());
    let insecure = if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() { Some(*insecure) } else { None };
    match (insecure, roots) {
        (Some(true), _) => Err(ServersError::Insecure),
        (Some(false), Some(roots)) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(roots.to_vec()) };
            Ok(Client::build_with_tls(info, certificates)?)
        }
        (None, Some(_)) => Err(ServersError::RootsWithoutTls),
        (Some(false) | None, None) => Ok(Client::open(info)?),
    }
}

fn is_encrypted(server: &Client) -> bool {
    matches!(server.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
}

/// The driver takes a text without any certificate for an empty list, by which no server could be verified.
fn contains_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|part| part == BEGIN)
}

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(TCP_USER_TIMEOUT);
    settings
}

#[cfg(test)]
mod tests;
