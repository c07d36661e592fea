//! The advisory locks of this crate, and the order in which transactions lock.
//!
//! # The order of locks
//!
//! A transaction takes what it needs of these from top to bottom, and several of one kind in the order of their keys. So no two
//! wait for each other:
//!
//! 1. requests, by `(user, request)`: inserting one waits for a concurrent transaction of the same request;
//! 2. fans, by the hash that is locked: [`lock_fans`];
//! 3. payments by card;
//! 4. reservations, by id. The sweep of expired holds skips those that are locked;
//! 5. claims, by `(performance, slot)`;
//! 6. wallets, by `(currency, user)`;
//! 7. ended queue tokens, by their key. A fan who leaves writes them before reservations: whoever writes the token of a
//!    fan has the fan's lock, or writes nothing else.
//!
//! Rows that nobody else can know yet need no order. The outbox is written last.
//!
//! Keys of two integers and keys of one `bigint` are separate key spaces. The named locks use the first, [`lock_fans`]
//! the second.

use diesel::QueryResult;
use diesel::sql_types::{Array, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PerformanceId, UserId};

use crate::statement::{Cached, sql};

/// The first integer of all named locks: `Enco` in ASCII.
pub const NAMESPACE: i32 = 0x456e_636f;
/// Held by the instance that runs migrations.
pub const MIGRATION: i32 = 1;
/// Held while a window of the outbox is closed.
pub const OUTBOX_WINDOWS: i32 = 3;
/// Held while an endpoint of webhooks is added, so that they can be counted.
pub const WEBHOOK_ENDPOINTS: i32 = 50;
/// Held by the process that creates the template of scratch databases.
#[cfg(feature = "scratch")]
pub const SCRATCH_TEMPLATE: i32 = 2;

/// How long a batch of several calls waits for one lock. After that each call is tried alone with the time of the connection, so
/// that whoever holds a lock for long delays the others of the batch no longer than this.
const LOCK_TIMEOUT_OF_BATCH: &str = "250ms";

/// Makes a transaction of several calls wait for a lock only as long as a batch may.
pub async fn hurry(conn: &AsyncPgConnection, calls: usize) -> QueryResult<()> {
    const HURRY: &str = "SELECT set_config('lock_timeout', $1, true)";
    if calls > 1 {
        Cached(sql(HURRY).bind::<Text, _>(LOCK_TIMEOUT_OF_BATCH)).execute(&mut &*conn).await?;
    }
    Ok(())
}

/// Until the end of the transaction, no other transaction takes the lock of one of these fans and performances. It is
/// taken to place a hold, so that the fan's seats can be counted against the limit; and to place a hold, to pay one or
/// to leave the queue with a queue token, so that these agree on whether the token has ended. The locks are taken in the
/// order of their keys, and before any lock on a reservation.
pub async fn lock_fans(conn: &AsyncPgConnection, fans: &[(UserId, PerformanceId)]) -> QueryResult<()> {
    const LOCK: &str = "
        SELECT pg_advisory_xact_lock(fan)
        FROM (
            SELECT DISTINCT hashtextextended(user_id::text || performance_id::text, 0) AS fan
            FROM unnest($1, $2) AS fan_of (user_id, performance_id)
            ORDER BY fan
        ) AS fans";
    let query = sql(LOCK)
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|(user, _)| user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|(_, performance)| performance.0).collect::<Vec<_>>());
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// Until the end of the transaction, no other closes a window of the outbox.
pub async fn lock_outbox_windows(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock($1, $2)";
    Cached(sql(LOCK).bind::<Integer, _>(NAMESPACE).bind::<Integer, _>(OUTBOX_WINDOWS)).execute(conn).await?;
    Ok(())
}

/// Until the end of the transaction, no other adds an endpoint of webhooks.
pub async fn lock_webhook_endpoints(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock($1, $2)";
    Cached(sql(LOCK).bind::<Integer, _>(NAMESPACE).bind::<Integer, _>(WEBHOOK_ENDPOINTS)).execute(conn).await?;
    Ok(())
}
