//! Advisory locks: which there are, and what each guards.
//!
//! Keys of two integers and keys of one `bigint` are different spaces: the first are the named locks here, the second
//! belongs to [`lock_fan`].

use diesel::QueryResult;
use diesel::sql_types::{Integer, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PerformanceId, UserId};

use crate::statement::{Cached, sql};

/// The first integer of all named locks: `Enco` in ASCII.
pub const NAMESPACE: i32 = 0x456e_636f;
/// Held by the instance that migrates.
pub const MIGRATION: i32 = 1;
/// Held shared by those who write the outbox, alone for a moment by who reads it. See [`crate::outbox`].
pub const OUTBOX: i32 = 2;
/// Held by who makes the template of scratch databases.
#[cfg(feature = "scratch")]
pub const SCRATCH_TEMPLATE: i32 = 3;

/// Until the end of the transaction, nobody else places a hold of this fan for this performance: so what is counted
/// against the limit stays true.
pub async fn lock_fan(conn: &AsyncPgConnection, user: UserId, performance: PerformanceId) -> QueryResult<()> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || $2::text, 0))";
    Cached(sql(LOCK).bind::<SqlUuid, _>(user.0).bind::<SqlUuid, _>(performance.0)).execute(&mut &*conn).await?;
    Ok(())
}

/// Waits until no transaction that has drawn a sequence number of the outbox is open, and lets none draw another until
/// the end of this transaction.
pub async fn lock_outbox(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock($1, $2)";
    Cached(sql(LOCK).bind::<Integer, _>(NAMESPACE).bind::<Integer, _>(OUTBOX)).execute(conn).await?;
    Ok(())
}
