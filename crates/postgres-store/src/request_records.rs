use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ports::RequestRecords;
use encore_domain::request::ForgottenRequests;
use encore_domain::time::Timestamp;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::sql;

/// [`RequestRecords`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresRequestRecords {
    database: Database,
}

impl PostgresRequestRecords {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

/// Goes on where the last step ended, by the index `requests_due`. The lock of the single row lets one caller look at a time; the others
/// find nothing.
const FORGET: &str = "
    WITH turn AS (
        SELECT before FROM requests_forgotten FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT request.* FROM turn CROSS JOIN LATERAL (
            SELECT user_id, request_id, result_id, created_at FROM requests
            WHERE operation IN ('place_hold', 'extend_hold', 'release_hold', 'release_seats')
              AND created_at >= turn.before AND created_at < $1
            ORDER BY created_at LIMIT $2
        ) AS request
    ), forgotten AS (
        DELETE FROM requests USING due
        WHERE requests.user_id = due.user_id AND requests.request_id = due.request_id
          AND EXISTS (SELECT FROM reservations WHERE id = due.result_id AND reservations.user_id = due.user_id)
        RETURNING 1
    ), moved AS (
        UPDATE requests_forgotten SET before = (SELECT max(created_at) FROM due) WHERE EXISTS (SELECT FROM due)
    )
    SELECT (SELECT count(*) FROM due) AS looked_at, (SELECT count(*) FROM forgotten) AS forgotten";

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = BigInt)]
    looked_at: i64,
    #[diesel(sql_type = BigInt)]
    forgotten: i64,
}

#[async_trait]
impl RequestRecords for PostgresRequestRecords {
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<ForgottenRequests, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = sql(FORGET).bind::<Timestamptz, _>(before).bind::<BigInt, _>(i64::from(limit));
        let step: Step = query.get_result(&mut conn).await.map_err(unavailable)?;
        let forgotten = step.forgotten.unsigned_abs();
        Ok(ForgottenRequests { forgotten, kept: step.looked_at.unsigned_abs().saturating_sub(forgotten) })
    }
}
