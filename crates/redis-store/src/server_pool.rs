//! The pool that supplies the connection to one Redis server, which stands alone or is a node of a Redis Cluster.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::{Builder, ErrorSink, ManageConnection, Pool, PooledConnection, RunError};
use futures::FutureExt;
use metrics::counter;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ConnectionInfo, Pipeline, RedisError, RedisFuture, Value};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a command waits for its reply. The longest script takes a few milliseconds, so a server that takes longer is
/// unavailable.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an attempt to connect may take. Commands that need the connection wait for it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Connections to each server. All commands are pipelined on one, since more of them would divide the batches.
const CONNECTIONS: u32 = 1;

/// A pool with one multiplexed connection to one server. Clones share it.
///
/// Commands share the connection until one of them finds it broken. The next command then returns it to the pool, which
/// discards it and opens another.
#[derive(Clone)]
pub(crate) struct ServerPool(Arc<Inner>);

struct Inner {
    pool: Pool<Manager>,
    failures: Failures,
    /// The connection that was checked out last.
    current: RwLock<Option<SharedConnection>>,
}

impl ServerPool {
    /// Connects to the server.
    pub(crate) async fn connect(server: ConnectionInfo) -> Result<Self, RedisError> {
        let failures = Failures::default();
        let pool = builder(&failures).build(Manager(RedisConnectionManager::new(server)?)).await?;
        Ok(Self::new(pool, failures))
    }

    /// Connects in the background. Commands wait for the connection.
    pub(crate) fn connect_later(server: ConnectionInfo) -> Result<Self, RedisError> {
        let failures = Failures::default();
        let pool = builder(&failures).build_unchecked(Manager(RedisConnectionManager::new(server)?));
        Ok(Self::new(pool, failures))
    }

    fn new(pool: Pool<Manager>, failures: Failures) -> Self {
        Self(Arc::new(Inner { pool, failures, current: RwLock::default() }))
    }

    /// A connection that is not known to be broken.
    async fn connection(&self) -> Result<SharedConnection, RedisError> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(connection) = current.filter(|connection| !connection.is_broken()) {
            return Ok(connection);
        }
        loop {
            let connection = self.check_out().await?;
            if !connection.is_broken() {
                let connection = connection.clone();
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
                return Ok(connection);
            }
            // It goes back to the pool here, which discards a broken connection and opens another.
        }
    }

    /// Fails as soon as an attempt to connect fails. The pool alone would let the caller wait for its whole time-out.
    async fn check_out(&self) -> Result<PooledConnection<'_, Manager>, RedisError> {
        if let Some(connection) = self.0.pool.get().now_or_never() {
            return connection.map_err(pool_error);
        }
        let mut failures = self.0.failures.0.subscribe();
        tokio::select! {
            connection = self.0.pool.get() => connection.map_err(pool_error),
            _changed = failures.changed() => Err(failures.borrow().clone().unwrap_or_else(timed_out)),
        }
    }
}

impl ConnectionLike for ServerPool {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let reply = connection.multiplexed.send_packed_command(command).await;
            connection.observe(reply)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let replies = connection.multiplexed.send_packed_commands(commands, offset, count).await;
            connection.observe(replies)
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// A connection is kept however old or idle it is, and is not tested when it is checked out. A failed attempt to connect is
/// repeated when the next command needs the connection, and not before.
fn builder(failures: &Failures) -> Builder<Manager> {
    Pool::builder()
        .max_size(CONNECTIONS)
        .min_idle(CONNECTIONS)
        .max_lifetime(None)
        .idle_timeout(None)
        .connection_timeout(CONNECT_TIMEOUT)
        .retry_connection(false)
        .test_on_check_out(false)
        .error_sink(failures.boxed_clone())
}

/// Opens connections as [`RedisConnectionManager`] does, with the time-outs of this crate. Unlike that manager, it knows which
/// connections are broken.
struct Manager(RedisConnectionManager);

impl ManageConnection for Manager {
    type Connection = SharedConnection;
    type Error = RedisError;

    async fn connect(&self) -> Result<SharedConnection, RedisError> {
        let mut multiplexed = timeout(CONNECT_TIMEOUT, self.0.connect()).await.map_err(|_| timed_out())??;
        multiplexed.set_response_timeout(COMMAND_TIMEOUT);
        counter!("encore_redis_connections_opened_total").increment(1);
        Ok(SharedConnection { multiplexed, broken: Arc::default() })
    }

    async fn is_valid(&self, connection: &mut SharedConnection) -> Result<(), RedisError> {
        self.0.is_valid(&mut connection.multiplexed).await
    }

    fn has_broken(&self, connection: &mut SharedConnection) -> bool {
        connection.is_broken()
    }
}

/// A handle of a multiplexed connection. Clones share the connection.
#[derive(Clone)]
struct SharedConnection {
    multiplexed: MultiplexedConnection,
    /// Whether a command has found the connection broken.
    broken: Arc<AtomicBool>,
}

impl SharedConnection {
    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Marks the connection as broken if the reply shows that it is. A time-out does not show that: the server may be busy, and
    /// then replies on the same connection later.
    fn observe<T>(&self, reply: Result<T, RedisError>) -> Result<T, RedisError> {
        if reply.as_ref().is_err_and(RedisError::is_unrecoverable_error) {
            self.broken.store(true, Ordering::Relaxed);
        }
        reply
    }
}

/// The error of the last failed attempt to connect. The pool connects in tasks of its own, and reports their errors here.
#[derive(Clone, Debug, Default)]
struct Failures(Arc<watch::Sender<Option<RedisError>>>);

impl ErrorSink<RedisError> for Failures {
    fn sink(&self, error: RedisError) {
        counter!("encore_redis_connection_failures_total").increment(1);
        self.0.send_replace(Some(error));
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<RedisError>> {
        Box::new(self.clone())
    }
}

fn pool_error(error: RunError<RedisError>) -> RedisError {
    match error {
        RunError::User(error) => error,
        RunError::TimedOut => timed_out(),
    }
}

fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
