//! The advisory locks of this crate.
//!
//! Keys of two integers and keys of one `bigint` are separate key spaces. The named locks use the first, [`lock_fans`]
//! the second.

use diesel::QueryResult;
use diesel::sql_types::{Array, Integer, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PerformanceId, UserId};

use crate::statement::{Cached, sql};

/// The first integer of all named locks: `Enco` in ASCII.
pub const NAMESPACE: i32 = 0x456e_636f;
/// Held by the instance that runs migrations.
pub const MIGRATION: i32 = 1;
/// Held while a window of the outbox is closed.
pub const OUTBOX_WINDOWS: i32 = 3;
/// Held by the process that creates the template of scratch databases.
#[cfg(feature = "scratch")]
pub const SCRATCH_TEMPLATE: i32 = 2;

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
