//! Metrics of the pool, the transactions and the batches. Names and attributes are those of OpenTelemetry's semantic
//! conventions for databases where there are such.

use std::time::Instant;

use metrics::{Gauge, counter, gauge, histogram};

const POOL: &str = "postgres";

/// Counts one more in a gauge until it is dropped.
pub(crate) struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Notes how many connections the pool has at most.
pub(crate) fn pool_size(connections: u32) {
    gauge!("db_client_connection_max", "db_client_connection_pool_name" => POOL).set(connections);
}

/// Measures how long a call waits for a connection.
pub(crate) async fn check_out<T, E>(check_out: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let pending = gauge!("db_client_connection_pending_requests", "db_client_connection_pool_name" => POOL);
    let (_pending, began) = (Counted::new(pending), Instant::now());
    let checked_out = check_out.await;
    histogram!("db_client_connection_wait_time_seconds", "db_client_connection_pool_name" => POOL)
        .record(began.elapsed());
    if checked_out.is_err() {
        counter!("db_client_connection_timeouts_total", "db_client_connection_pool_name" => POOL).increment(1);
    }
    checked_out
}

/// Counts a connection as used until what is returned is dropped.
pub(crate) fn used_connection() -> Counted {
    Counted::new(gauge!(
        "db_client_connection_count",
        "db_client_connection_pool_name" => POOL, "db_client_connection_state" => "used"
    ))
}

/// Measures a named transaction, its retries included.
pub(crate) async fn transaction<T>(name: &'static str, transaction: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let ended = transaction.await;
    histogram!(
        "db_client_operation_duration_seconds",
        "db_system_name" => "postgresql", "db_operation_name" => name
    )
    .record(began.elapsed());
    ended
}

/// Counts a retry of a transaction after a serialization failure or a deadlock.
pub(crate) fn transaction_retried(name: &'static str) {
    counter!("encore_transaction_retries_total", "db_operation_name" => name).increment(1);
}

/// Measures a batch of calls.
pub(crate) async fn batch<T>(name: &'static str, calls: usize, batch: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let ended = batch.await;
    histogram!("encore_batch_duration_seconds", "batch" => name).record(began.elapsed());
    histogram!("encore_batch_size", "batch" => name).record(u32::try_from(calls).unwrap_or(u32::MAX));
    ended
}

/// Counts a batch whose calls are tried one by one.
pub(crate) fn batch_split(name: &'static str) {
    counter!("encore_batches_split_total", "batch" => name).increment(1);
}
