//! Opens connections. The URL says whether they are encrypted, by the parameters of libpq: `sslmode` and `sslrootcert`.

use std::error::Error as StdError;
use std::fmt::Write;
use std::path::PathBuf;

use diesel::ConnectionError;
use diesel_async::AsyncPgConnection;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls::{RootsError, Trust, client_config};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// The value of `sslrootcert` for the certificates of the system.
const SYSTEM: &str = "system";

/// Why no connection can be opened with a URL, whatever the server does.
#[derive(Debug, Error)]
pub enum UrlError {
    /// The value of `sslmode` is unknown.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    Mode,
    /// The roots of the system vouch for anybody's certificate, so they prove nothing without its name.
    #[error(
        "sslmode=verify-ca needs a file in sslrootcert; with the roots of the system only verify-full proves anything"
    )]
    NameNotVerified,
    /// The roots cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The driver does not understand the rest. The text repeats no part of the URL but the name of an option.
    #[error("{0}")]
    Driver(String),
}

/// Checks a URL without connecting. The file of `sslrootcert` must exist.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    let target = Target::parse(url)?;
    target.trust.map_or(Ok(()), |trust| Ok(client_config(&trust, target.direct).map(drop)?))
}

/// Opens a connection.
pub(crate) async fn connect(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    let Target { config, trust, direct } = Target::parse(url).map_err(|error| bad(&error))?;
    let Some(trust) = trust else {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| bad(&error))?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    };
    let tls = MakeRustlsConnect::new(client_config(&trust, direct).map_err(|error| bad(&error))?);
    let (client, connection) = config.connect(tls).await.map_err(|error| bad(&error))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// The error with its causes, which `ConnectionError` has no place for.
fn bad(error: &(dyn StdError + 'static)) -> ConnectionError {
    ConnectionError::BadConnection(with_causes(error))
}

fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Where to connect.
#[derive(Debug)]
struct Target {
    config: Config,
    /// Whose certificate is taken; none if the connection is not encrypted.
    trust: Option<Trust>,
    /// Whether TLS begins without a request before.
    direct: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, UrlError> {
        let Parts { url, mode, roots } = Parts::of(url)?;
        let mut config: Config = url.parse().map_err(|error| UrlError::Driver(with_causes(&error)))?;
        let mode = mode.unwrap_or(if roots == Some(Roots::System) { Mode::VerifyFull } else { Mode::Prefer });
        let hosts = config.get_hosts();
        let is_socket = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
        // Who names a root wants to know the server; `prefer` would let it say that it has no TLS.
        let mode = if mode == Mode::Prefer && roots.is_some() { Mode::Require } else { mode };
        // There is no TLS over Unix sockets, as in libpq; and the driver has none for a host without a name (`hostaddr` alone).
        let mode = if is_socket || hosts.is_empty() && mode == Mode::Prefer { Mode::Disable } else { mode };
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        let trust = match (mode, roots) {
            (Mode::Disable, _) => None,
            (Mode::Prefer | Mode::Require, None) => Some(Trust::Anybody),
            // A root that is given is used, so `require` with one is `verify-ca`, as in libpq.
            (Mode::Prefer | Mode::Require | Mode::VerifyCa, Some(Roots::File(file))) => Some(Trust::SignedBy(file)),
            (Mode::Prefer | Mode::Require, Some(Roots::System)) | (Mode::VerifyCa, None | Some(Roots::System)) => {
                return Err(UrlError::NameNotVerified);
            }
            (Mode::VerifyFull, None | Some(Roots::System)) => Some(Trust::Named(None)),
            (Mode::VerifyFull, Some(Roots::File(file))) => Some(Trust::Named(Some(file))),
        };
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        Ok(Self { config, trust, direct })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, PartialEq, Eq)]
enum Roots {
    System,
    File(PathBuf),
}

/// A URL, with the options that the driver does not know apart.
struct Parts {
    url: String,
    mode: Option<Mode>,
    roots: Option<Roots>,
}

impl Parts {
    /// Takes the options out. A string that is no URL stays as it is.
    fn of(url: &str) -> Result<Self, UrlError> {
        let mut parts = Self { url: url.to_owned(), mode: None, roots: None };
        let Some(rest) = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)) else { return Ok(parts) };
        // A password may contain a question mark. The driver looks for the first `@`, too.
        let host = rest.find('@').map_or(rest, |at| &rest[at..]);
        let Some((_, options)) = host.split_once('?') else { return Ok(parts) };
        let mut kept = Vec::new();
        for option in options.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => parts.mode = Some(mode(&value())?),
                "sslrootcert" if value() == SYSTEM => parts.roots = Some(Roots::System),
                "sslrootcert" => parts.roots = Some(Roots::File(value().into())),
                _ => kept.push(option),
            }
        }
        let before = &url[..url.len() - options.len() - 1];
        parts.url = if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) };
        Ok(parts)
    }
}

fn mode(name: &str) -> Result<Mode, UrlError> {
    Ok(match name {
        "disable" => Mode::Disable,
        "prefer" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => return Err(UrlError::Mode),
    })
}

#[cfg(test)]
mod tests;
