use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, free_port};
use crate::redis;

/// A Redis on the loopback that keeps what it is told to `SAVE` and nothing else. It is stopped when this is dropped.
pub struct RedisServer {
    /// Where its files are; the log lies beside it.
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

    /// Where it is.
    pub fn url(&self) -> String {
        redis::url(self.port)
    }

    /// The port of the loopback that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks a question of one line that is answered by one text, such as `SAVE`.
    pub fn ask(&self, question: &str) -> io::Result<String> {
        redis::ask(self.port, question)
    }

    /// Kills it, as a failing machine would.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts one that was killed: it knows what it has saved.
    pub fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        let mut server = redis::server(self.port, &self.folder)?;
        // A replica asks for a copy, and is not kept waiting for others that might.
        server.args(["--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
        let log = self.folder.with_extension("log");
        self.server = Some(Daemon::start("redis", &mut server, &log, |_| redis::answers(self.port))?);
        Ok(())
    }
}
