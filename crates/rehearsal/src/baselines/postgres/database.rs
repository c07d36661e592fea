//! A database of the baselines' own, on a server that is somebody's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::baselines::random_digits;

/// What the names of all these databases begin with.
const PREFIX: &str = "encore_baseline_";
/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a run that ends early waits for the server to drop the database.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A database that nobody else knows. It is dropped with this value, whoever is still connected; what a killed process
/// leaves behind goes with `DROP DATABASE`.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    server: Config,
    name: String,
    dropped: AtomicBool,
}

impl OwnDatabase {
    /// Makes a database with the tables of the baselines. The URL names a database to connect to, and a user who may
    /// create others.
    pub(super) async fn create(url: &str) -> Result<Self, Error> {
        let mut server: Config = url.parse()?;
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(CONNECT_TIMEOUT);
        }
        let client = connect(&server).await?;
        let database = Self { server, name: format!("{PREFIX}{}", random_digits()), dropped: AtomicBool::new(false) };
        client.batch_execute(&format!("CREATE DATABASE {}", database.name)).await?;
        connect(&database.config()).await?.batch_execute(include_str!("schema.sql")).await?;
        Ok(database)
    }

    /// How to connect to it.
    pub(super) fn config(&self) -> Config {
        let mut config = self.server.clone();
        config.dbname(&self.name);
        config
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Drops it and says whether that worked.
    pub(super) async fn drop_now(&self) -> Result<(), Error> {
        drop_database(&self.server, &self.name).await?;
        self.dropped.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if self.dropped.load(Ordering::Relaxed) {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        // The runtime may be ending, so this one brings its own.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(async { Ok::<_, DropError>(timeout(DROP_PATIENCE, drop_database(&server, &name)).await??) })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("the database {} stays behind: drop it by hand", self.name);
        }
    }
}

type DropError = Box<dyn std::error::Error + Send + Sync>;

async fn drop_database(server: &Config, name: &str) -> Result<(), Error> {
    connect(server).await?.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}

/// Opens a connection that a task of its own drives until the client is dropped.
pub(super) async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // What ends the connection is told to whoever is waiting for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
