//! The connection pool, and the execution of transactions.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bb8::ErrorSink;
use diesel::ConnectionError;
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::error::Unavailable;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::Instrument;

use crate::connecting::connect;
use crate::error::{TxError, is_transient, unavailable};
use crate::measure::{self, Counted};

/// Connections per instance. Postgres is fastest with few busy connections per core. Further calls wait here, in order.
const POOL_SIZE: u32 = 16;
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a call waits for a free connection before it fails as unavailable.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one statement may run. The longest one imports a venue.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one statement may wait for a lock. Transactions are short, so a longer wait means that something is wrong.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// The most attempts at a transaction that fails with a serialization failure or a deadlock.
const TRANSACTION_ATTEMPTS: u32 = 4;
/// The longest delay before the second attempt. It doubles with each further attempt.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// The address of the database, and time-outs.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// Such as `postgres://encore:secret@localhost:5432/encore`. Options of the driver, such as `keepalives_idle` or
    /// `tcp_user_timeout`, follow after a question mark, and so do `sslmode` and `sslrootcert` as libpq has them.
    pub url: String,
    /// The most connections of this instance; at least 1.
    pub pool_size: u32,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a call waits for a free connection.
    pub checkout_timeout: Duration,
    /// How long one statement may run, and how long a transaction may be idle.
    pub statement_timeout: Duration,
    /// How long one statement may wait for a lock.
    pub lock_timeout: Duration,
}

impl DatabaseConfig {
    /// The default settings for the database at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: POOL_SIZE,
            connect_timeout: CONNECT_TIMEOUT,
            checkout_timeout: CHECKOUT_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
            lock_timeout: LOCK_TIMEOUT,
        }
    }

    async fn establish(&self) -> Result<AsyncPgConnection, ConnectionError> {
        let establishing = connect(&self.url);
        let mut conn = tokio::time::timeout(self.connect_timeout, establishing)
            .await
            .map_err(|elapsed| ConnectionError::BadConnection(elapsed.to_string()))??;
        // Each prepared statement has one good plan, which uses its indexes, whatever its parameters. Planning each
        // execution would cost more than the execution. Sequential scans are off because the first plans are made while
        // the tables are empty: the planner would choose a sequential scan and use it for the life of the connection. Where
        // there is no other plan, the cost that stands for "off" would have the query compiled (JIT) at each execution, which takes far
        // longer than the query.
        // Messages are in English if the role may choose it: the driver does not expose the code of an error, so
        // deadlocks and refused values are recognized by their messages.
        let statement_ms = self.statement_timeout.as_millis();
        let lock_ms = self.lock_timeout.as_millis();
        conn.batch_execute(&format!(
            "SET statement_timeout = {statement_ms};
             SET idle_in_transaction_session_timeout = {statement_ms};
             SET lock_timeout = {lock_ms};
             SET plan_cache_mode = force_generic_plan;
             SET enable_seqscan = off;
             SET jit = off;
             DO $$ BEGIN
               PERFORM set_config('lc_messages', 'C', false);
             EXCEPTION WHEN insufficient_privilege THEN NULL;
             END $$"
        ))
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    }
}

impl fmt::Debug for DatabaseConfig {
    /// Leaves out the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// A handle to the connection pool. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool<AsyncPgConnection>,
    pool_size: u32,
    /// One permit per connection, acquired in the order of the calls. The pool alone lets a new call take a returned
    /// connection before the calls that wait, which then wait for seconds under load.
    permits: Arc<Semaphore>,
    checkout_timeout: Duration,
}

/// A connection that returns to the pool when it is dropped.
pub(crate) struct Checkout<'p> {
    conn: PooledConnection<'p, AsyncPgConnection>,
    _permit: OwnedSemaphorePermit,
    _used: Counted,
}

impl Deref for Checkout<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.conn
    }
}

impl DerefMut for Checkout<'_> {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.conn
    }
}

impl Database {
    /// Opens the pool and its first connection, so that a wrong URL fails at start-up.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, Unavailable> {
        let first = config.establish().await.map_err(unavailable)?;
        let mut manager_config = ManagerConfig::default();
        let template = config.clone();
        manager_config.custom_setup = Box::new(move |_| {
            let config = template.clone();
            Box::pin(async move { config.establish().await })
        });
        let pool_size = config.pool_size.max(1);
        let pool = Pool::builder()
            .max_size(pool_size)
            .connection_timeout(config.checkout_timeout)
            // A test costs each call a round trip. `connection` checks the socket instead.
            .test_on_check_out(false)
            .error_sink(Box::new(LogSink))
            .build_unchecked(AsyncDieselConnectionManager::new_with_config(&config.url, manager_config));
        // Only a full pool refuses a connection, and this one is empty.
        let _ = pool.add(first);
        let permits = Arc::new(Semaphore::new(usize::try_from(pool_size).unwrap_or(Semaphore::MAX_PERMITS)));
        measure::pool_size(pool_size);
        Ok(Self { pool, pool_size, permits, checkout_timeout: config.checkout_timeout })
    }

    /// A connection whose socket is not known to be closed. Connections that broke while they were idle are discarded
    /// here, so that a restart of Postgres does not fail one call per connection.
    pub(crate) async fn connection(&self) -> Result<Checkout<'_>, Unavailable> {
        let checked_out = measure::check_out(self.check_out()).await;
        let (conn, permit) = checked_out?;
        Ok(Checkout { conn, _permit: permit, _used: measure::used_connection() })
    }

    async fn check_out(&self) -> Result<(PooledConnection<'_, AsyncPgConnection>, OwnedSemaphorePermit), Unavailable> {
        let permit = timeout(self.checkout_timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(unavailable)?.map_err(unavailable)?;
        for _ in 0..self.pool_size {
            let mut conn = self.pool.get().await.map_err(unavailable)?;
            if !conn.is_broken() {
                return Ok((conn, permit));
            }
        }
        let conn = self.pool.get().await.map_err(unavailable)?;
        Ok((conn, permit))
    }

    /// Runs a named transaction. Retries it after a serialization failure or a deadlock.
    pub(crate) async fn transact<T, E, F, Fut>(&self, name: &'static str, attempt: F) -> Result<T, E>
    where
        E: From<Unavailable>,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, TxError<E>>>,
    {
        let attempts = async {
            let mut attempts = 1;
            loop {
                match attempt().await {
                    Ok(value) => return Ok(value),
                    Err(TxError::Port(error)) => return Err(error),
                    Err(TxError::Database(error)) if attempts < TRANSACTION_ATTEMPTS && is_transient(&error) => {
                        tracing::info!(%error, attempts, "transaction failed with a serialization failure or deadlock; retrying");
                        measure::transaction_retried(name);
                        tokio::time::sleep(retry_delay(attempts)).await;
                        attempts += 1;
                    }
                    Err(TxError::Database(error)) => return Err(unavailable(error).into()),
                }
            }
        };
        measure::transaction(name, attempts.instrument(tracing::info_span!("transaction", name))).await
    }
}

/// A random delay, so that the transactions that collided do not collide again.
fn retry_delay(attempts: u32) -> Duration {
    let longest = RETRY_DELAY * 2_u32.saturating_pow(attempts - 1);
    // Without randomness the delay is the longest.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Logs the errors of connection attempts in the background, which no caller receives.
#[derive(Debug, Clone, Copy)]
struct LogSink;

impl ErrorSink<PoolError> for LogSink {
    fn sink(&self, error: PoolError) {
        tracing::warn!(%error, "postgres unavailable; a connection of the pool was not opened");
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<PoolError>> {
        Box::new(*self)
    }
}

#[cfg(all(test, feature = "scratch"))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use diesel::sql_types::Integer;
    use diesel_async::{AsyncConnection, RunQueryDsl};
    use tokio::sync::Barrier;

    use super::*;
    use crate::scratch::ScratchDatabase;
    use crate::statement::sql;

    /// Takes two locks in this order. The first attempts of both transactions wait for each other in between.
    async fn take_both(
        database: &Database,
        locks: [i32; 2],
        barrier: Option<&Barrier>,
    ) -> Result<(), TxError<Unavailable>> {
        const LOCK: &str = "SELECT pg_advisory_xact_lock($1, 0)";
        let mut conn = database.connection().await?;
        let taking = conn.transaction(async |conn| {
            sql(LOCK).bind::<Integer, _>(locks[0]).execute(conn).await?;
            if let Some(barrier) = barrier {
                barrier.wait().await;
            }
            sql(LOCK).bind::<Integer, _>(locks[1]).execute(conn).await?;
            Ok(())
        });
        taking.await
    }

    #[tokio::test]
    async fn a_transaction_that_loses_a_deadlock_is_retried() {
        let server =
            std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
        let scratch = ScratchDatabase::create(&server).await;
        let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
        let (barrier, attempts) = (Barrier::new(2), AtomicU32::new(0));
        let taker = |locks| {
            let (database, barrier, attempts) = (&database, &barrier, &attempts);
            database.transact("test", move || {
                let first = attempts.fetch_add(1, Ordering::SeqCst) < 2;
                take_both(database, locks, first.then_some(barrier))
            })
        };
        let (a, b) = tokio::join!(taker([1, 2]), taker([2, 1]));
        a.expect("the transaction commits");
        b.expect("the transaction commits");
        assert_eq!(attempts.into_inner(), 3);
    }
}
