use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, free_port};
use crate::redis;

/// A Redis on the loopback that persists only on `SAVE`. It is stopped when this is dropped.
pub struct RedisServer {
    /// Its files. The log is beside the folder.
    folder: PathBuf,
    port: u16,
    server: Option<Daemon>,
}

impl RedisServer {
    /// Starts it with its files in this folder, and waits until it serves.
    pub fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut redis = Self { folder: folder.to_owned(), port: free_port()?, server: None };
        redis.start_again()?;
        Ok(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        redis::url(self.port)
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
        // A replica that asks for a copy gets it at once: the server does not wait for further replicas.
        server.args(["--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
        let log = self.folder.with_extension("log");
        self.server = Some(Daemon::start("redis", &mut server, &log, |_| redis::answers(self.port))?);
        Ok(())
    }
}
