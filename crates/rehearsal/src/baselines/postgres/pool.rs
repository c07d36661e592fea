//! A pool that is fair and does not let anybody wait for ever.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bb8::{Pool, PooledConnection, RunError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::{Config, Error};

use crate::baselines::postgres::connection::{Connection, Manager};

/// How long a call waits for its turn: as long as a caller of Encore waits for an answer. Waiting is part of what is
/// measured.
const TURN_PATIENCE: Duration = Duration::from_secs(15);
/// How long it may take to open a connection, once there is one to be had.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections with everything prepared. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct FairPool {
    pool: Pool<Manager>,
    size: u32,
    /// One place per connection, given out in the order of asking. The pool alone lets whoever has just given one back take
    /// it again before those who wait, who under load then wait until the end.
    places: Arc<Semaphore>,
}

/// A connection of the pool, given back when it is dropped.
pub(super) struct Checkout<'p> {
    connection: PooledConnection<'p, Manager>,
    _place: OwnedSemaphorePermit,
}

impl Deref for Checkout<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Checkout<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl FairPool {
    /// Opens so many connections, at least one.
    pub(super) async fn connect(config: Config, size: u32) -> Result<Self, Error> {
        let size = size.max(1);
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(size)
            .connection_timeout(CONNECTION_TIMEOUT)
            .retry_connection(false)
            .test_on_check_out(false)
            .build(Manager { config })
            .await?;
        let places = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)));
        Ok(Self { pool, size, places })
    }

    /// How many connections there are.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// A connection, when it is this caller's turn.
    pub(super) async fn get(&self) -> Result<Checkout<'_>, RunError<Error>> {
        let place = timeout(TURN_PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        // The semaphore is never closed.
        let Ok(Ok(place)) = place else { return Err(RunError::TimedOut) };
        Ok(Checkout { connection: self.pool.get().await?, _place: place })
    }

    #[cfg(test)]
    pub(super) fn closed_broken(&self) -> u64 {
        self.pool.state().statistics.connections_closed_broken
    }
}
