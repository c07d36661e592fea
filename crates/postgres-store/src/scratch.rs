//! Databases for tests. Each test has its own, cloned from a template that is migrated once per schema.
//!
//! All names begin with [`PREFIX`]. A database is dropped with its [`ScratchDatabase`]. The databases of a killed
//! process stay on the server, and may be dropped with `DROP DATABASE`. The template of each schema stays too.
#![expect(clippy::expect_used, reason = "a test that has no database fails by panicking")]

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::database::DatabaseConfig;
use crate::statement::sql;
use crate::{connecting, locks, migration};

/// The prefix of the names of all scratch databases.
pub const PREFIX: &str = "encore_scratch_";
/// Connections of one test. The twenty concurrent callers of some tests are more, so that waiting for a connection is
/// tested too.
const POOL_SIZE: u32 = 8;
/// The most databases of a process at once. Their pools stay below the 100 connections that Postgres accepts by
/// default, however many tests run in parallel. A test must create only one, or tests could deadlock.
const AT_ONCE: usize = 8;
/// All time-outs of a test. They are long, so that a slow machine does not fail it.
const TEST_TIMEOUT: Duration = Duration::from_mins(1);

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);
/// Distinguishes the databases of this process from those of other processes and machines.
static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(())));

/// A migrated database of one test. Dropping this value drops the database, even if there are connections to it.
#[derive(Debug)]
pub struct ScratchDatabase {
    server_url: String,
    name: String,
    _permit: SemaphorePermit<'static>,
}

impl ScratchDatabase {
    /// Creates a database on a server. The URL names a database to connect to and a user who may create databases.
    ///
    /// # Panics
    /// If the server is unavailable or refuses to create the database.
    pub async fn create(server_url: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let permit = PERMITS.acquire().await.expect("the semaphore is never closed");
        let mut server = connect(server_url).await;
        let template = template(server_url, &mut server).await;
        let name = format!("{PREFIX}{}_{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&mut server, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { server_url: server_url.to_owned(), name, _permit: permit }
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        with_database(&self.server_url, &self.name)
    }

    /// The settings for a test: few connections and long time-outs.
    pub fn config(&self) -> DatabaseConfig {
        DatabaseConfig {
            pool_size: POOL_SIZE,
            connect_timeout: TEST_TIMEOUT,
            checkout_timeout: TEST_TIMEOUT,
            statement_timeout: TEST_TIMEOUT,
            lock_timeout: TEST_TIMEOUT,
            ..DatabaseConfig::new(self.url())
        }
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let (server_url, name) = (self.server_url.clone(), self.name.clone());
        // The runtime of the test may be shutting down, so this thread has its own.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut server = connecting::connect(&server_url).await?;
                diesel::sql_query(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).execute(&mut server).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            tracing::warn!(name = self.name, "scratch database was not dropped; it stays on the server");
        }
    }
}

/// The name of the template of this schema, which is created if it does not exist. It is renamed to this name when it
/// is complete. Then it accepts no connections, because a database with connections cannot be cloned.
async fn template(server_url: &str, server: &mut AsyncPgConnection) -> String {
    const LOCK: &str = "SELECT pg_advisory_lock($1, $2)";
    const UNLOCK: &str = "SELECT pg_advisory_unlock($1, $2)";
    let name = format!("{PREFIX}template_{}", env!("ENCORE_MIGRATIONS_HASH"));
    if exists(server, &name).await {
        return name;
    }
    let lock =
        |statement| sql(statement).bind::<Integer, _>(locks::NAMESPACE).bind::<Integer, _>(locks::SCRATCH_TEMPLATE);
    lock(LOCK).execute(server).await.expect("the server grants the lock");
    if !exists(server, &name).await {
        let raw = format!("{PREFIX}raw_{}", *PROCESS);
        execute(server, &format!("CREATE DATABASE {raw} TEMPLATE template0")).await;
        migration::migrate(&with_database(server_url, &raw)).await.expect("the migrations apply");
        execute(server, &format!("ALTER DATABASE {raw} WITH ALLOW_CONNECTIONS false")).await;
        close_connections(server, &raw).await;
        execute(server, &format!("ALTER DATABASE {raw} RENAME TO {name}")).await;
    }
    lock(UNLOCK).execute(server).await.expect("the server takes the lock back");
    name
}

/// Ends the connections to a database and waits until they have ended. A client that closes its connection does not
/// wait for that.
async fn close_connections(server: &mut AsyncPgConnection, database: &str) {
    const CLOSE: &str = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = $1";
    sql(CLOSE).bind::<Text, _>(database).execute(server).await.expect("the connections close");
}

async fn exists(server: &mut AsyncPgConnection, database: &str) -> bool {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let query = sql("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS found");
    let answer: Answer =
        query.bind::<Text, _>(database).get_result(server).await.expect("the server lists its databases");
    answer.found
}

async fn connect(url: &str) -> AsyncPgConnection {
    connecting::connect(url).await.expect("the server of ENCORE_DATABASE_URL accepts a connection")
}

async fn execute(server: &mut AsyncPgConnection, statement: &str) {
    diesel::sql_query(statement).execute(server).await.expect(statement);
}

/// The URL of another database of the same server.
fn with_database(server_url: &str, database: &str) -> String {
    let (base, options) = match server_url.split_once('?') {
        Some((base, options)) => (base, format!("?{options}")),
        None => (server_url, String::new()),
    };
    let authority = base.find("://").map_or(0, |scheme| scheme + "://".len());
    let server = base[authority..].find('/').map_or(base, |path| &base[..authority + path]);
    format!("{server}/{database}{options}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_everything_except_its_database() {
        for (url, expected) in [
            ("postgres://u:p@h:5432/postgres", "postgres://u:p@h:5432/db"),
            ("postgres://h", "postgres://h/db"),
            ("postgres://h/?a=b/c", "postgres://h/db?a=b/c"),
            ("postgres://u@%2Ftmp%2Fpg/x?a=b", "postgres://u@%2Ftmp%2Fpg/db?a=b"),
        ] {
            assert_eq!(with_database(url, "db"), expected, "{url}");
        }
    }
}
