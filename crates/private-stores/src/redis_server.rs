use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, free_port};
use crate::redis::{self, TlsFiles};

/// A Redis on the loopback that persists only on `SAVE`. It is stopped when this is dropped.
pub struct RedisServer {
    /// Its files. The log is beside the folder.
    folder: PathBuf,
    port: u16,
    /// The encrypted port, if there is one.
    tls: Option<(TlsFiles, u16)>,
    server: Option<Daemon>,
}

impl RedisServer {
    /// Starts it with its files in this folder, and waits until it serves.
    pub fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut redis = Self { folder: folder.to_owned(), port: free_port()?, tls: None, server: None };
        redis.start_again()?;
        Ok(redis)
    }

    /// Starts it with an encrypted port beside the other, with this certificate and key, and the root of both, in PEM.
    pub fn start_encrypted(folder: &Path, certificate: &str, key: &str, root: &str) -> Result<Self, Box<dyn Error>> {
        let files = TlsFiles::write(folder, certificate, key, root)?;
        let tls = Some((files, free_port()?));
        let mut redis = Self { folder: folder.to_owned(), port: free_port()?, tls, server: None };
        redis.start_again()?;
        Ok(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        redis::url(self.port)
    }

    /// The URL of its encrypted port by this name of the host, which may be `127.0.0.1` or `localhost`; none if it has none.
    pub fn encrypted_url(&self, host: &str) -> Option<String> {
        self.tls.as_ref().map(|(_, port)| redis::encrypted_url(host, *port))
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends an inline command whose reply is one string, such as `SAVE`.
    pub fn ask(&self, command: &str) -> io::Result<String> {
        redis::ask(self.port, command)
    }

    /// Kills it with SIGKILL, as a failure of the machine would.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts it after [`kill`](Self::kill), with the data of the last `SAVE`.
    pub fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        let mut server = redis::server(self.port, &self.folder)?;
        if let Some((files, port)) = &self.tls {
            files.serve(&mut server, *port);
        }
        // A replica that asks for a copy gets it at once: the server does not wait for further replicas.
        server.args(["--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
        let log = self.folder.with_extension("log");
        self.server = Some(Daemon::start("redis", &mut server, &log, |_| redis::answers(self.port))?);
        Ok(())
    }
}
