use std::error::Error;
use std::path::Path;

use crate::daemon::Daemon;
use crate::postgres;

/// A Postgres on the loopback that accepts encrypted connections only, as managed ones do. It is stopped when this is dropped.
pub struct PostgresServer {
    port: u16,
    _server: Daemon,
}

impl PostgresServer {
    /// Starts it with its files in this folder, with this certificate and key in PEM, and waits until it serves.
    pub fn start_encrypted(folder: &Path, certificate: &str, key: &str) -> Result<Self, Box<dyn Error>> {
        let (server, port) = postgres::start_encrypted(folder, certificate, key)?;
        Ok(Self { port, _server: server })
    }

    /// The URL of its database `postgres` by this name of the host, which may be `127.0.0.1` or `localhost`.
    pub fn url(&self, host: &str) -> String {
        postgres::url(host, self.port)
    }
}
