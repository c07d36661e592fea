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
        SELECT before, user_id, request_id FROM requests_forgotten FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT request.* FROM turn CROSS JOIN LATERAL (
            SELECT user_id, request_id, result_id, created_at FROM requests
            WHERE operation IN ('place_hold', 'extend_hold', 'release_hold', 'release_seats')
              AND (requests.created_at, requests.user_id, requests.request_id)
                  > (turn.before, turn.user_id, turn.request_id)
              AND created_at < $1
            ORDER BY created_at, user_id, request_id LIMIT $2
        ) AS request
    ), forgotten AS (
        DELETE FROM requests USING due
        WHERE requests.user_id = due.user_id AND requests.request_id = due.request_id
          AND EXISTS (SELECT FROM reservations WHERE id = due.result_id AND reservations.user_id = due.user_id)
        RETURNING 1
    ), moved AS (
        UPDATE requests_forgotten SET (before, user_id, request_id) = (
            SELECT created_at, user_id, request_id FROM due
            ORDER BY created_at DESC, user_id DESC, request_id DESC LIMIT 1
        )
        WHERE EXISTS (SELECT FROM due)
    )
    SELECT
        (SELECT count(*) FROM forgotten) AS forgotten,
        (SELECT count(*) FROM due WHERE NOT EXISTS (
            SELECT FROM reservations WHERE id = due.result_id AND reservations.user_id = due.user_id
        )) AS kept";

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = BigInt)]
    forgotten: i64,
    #[diesel(sql_type = BigInt)]
    kept: i64,
}

#[async_trait]
impl RequestRecords for PostgresRequestRecords {
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<ForgottenRequests, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = sql(FORGET).bind::<Timestamptz, _>(before).bind::<BigInt, _>(i64::from(limit));
        let Step { forgotten, kept } = query.get_result(&mut conn).await.map_err(unavailable)?;
        Ok(ForgottenRequests { forgotten: forgotten.unsigned_abs(), kept: kept.unsigned_abs() })
    }
}
