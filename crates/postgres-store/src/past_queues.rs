//! Deletes what only a queue that is on sale needs.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::time::Timestamp;

use crate::statement::{Cached, sql};

/// Deletes rows of one performance at a time. `SKIP LOCKED` lets several instances delete side by side.
macro_rules! forget_of {
    ($table:literal) => {
        concat!(
            "WITH past AS (
                 SELECT id FROM performances
                 WHERE closes_at <= $1 AND EXISTS (SELECT FROM ",
            $table,
            " WHERE performance_id = performances.id)
                 ORDER BY closes_at
                 LIMIT 1
             ), due AS (
                 SELECT ctid AS row FROM ",
            $table,
            " WHERE performance_id = (SELECT id FROM past)
                 LIMIT $2
                 FOR UPDATE SKIP LOCKED
             )
             DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(SELECT row FROM due))"
        )
    };
}

/// Deletes notes of ended tokens.
pub const ENDED_TOKENS: &str = forget_of!("ended_queue_tokens");
/// Deletes entries of draws.
pub const ENTRIES: &str = forget_of!("queue_entries");

/// Deletes up to `limit` rows by one of these statements. Returns how many.
pub async fn forget(
    conn: &mut AsyncPgConnection,
    statement: &'static str,
    closed_by: Timestamp,
    limit: u32,
) -> QueryResult<u64> {
    let delete = sql(statement).bind::<Timestamptz, _>(closed_by).bind::<BigInt, _>(i64::from(limit));
    Ok(Cached(delete).execute(conn).await? as u64)
}
