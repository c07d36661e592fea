use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::ids::AttemptId;
use encore_domain::payment::reconciliation::{Difference, Unreconciled};
use encore_domain::ports::Reconciliations;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::card_rows;
use crate::database::Database;
use crate::error::TxError;
use crate::schema::{gateway_differences, payment_attempts};
use crate::statement::sql;

/// [`Reconciliations`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresReconciliations {
    database: Database,
}

/// The oldest that were not compared, by the index of those.
const UNRECONCILED: &str = "
    SELECT a.id, a.payment_id
    FROM payment_attempts a
    JOIN card_payments c ON c.id = a.payment_id
    WHERE a.reconciled_at IS NULL AND a.made_at < $1 AND c.due_at IS NULL
    ORDER BY a.made_at, a.id
    LIMIT $2";

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    payment_id: Uuid,
}

impl PostgresReconciliations {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_unreconciled(
        &self,
        begun_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Unreconciled>, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let query = sql(UNRECONCILED).bind::<Timestamptz, _>(begun_before).bind::<BigInt, _>(i64::from(limit));
        let found: Vec<Found> = query.load(&mut conn).await?;
        let mut unreconciled = Vec::with_capacity(found.len());
        for Found { id, payment_id } in found {
            let Some(card) = card_rows::load(&mut conn, payment_id, false).await? else { continue };
            let attempt = card.attempts.iter().find(|attempt| attempt.id.0 == id);
            unreconciled.extend(
                attempt.map(|attempt| Unreconciled { charge: card.charge_of(attempt), state: attempt.state() }),
            );
        }
        Ok(unreconciled)
    }

    async fn try_record(
        &self,
        attempt: AttemptId,
        difference: Option<Difference>,
        at: Timestamp,
    ) -> Result<(), TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let recording = conn.transaction(async |conn| {
            let row = payment_attempts::table.find(attempt.0);
            diesel::update(row).set(payment_attempts::reconciled_at.eq(Some(at))).execute(conn).await?;
            diesel::delete(gateway_differences::table.find(attempt.0)).execute(conn).await?;
            if let Some(difference) = difference {
                let row = (
                    gateway_differences::attempt_id.eq(attempt.0),
                    gateway_differences::kind.eq(difference.name()),
                    gateway_differences::refund_id.eq(difference.refund().map(|refund| refund.0)),
                    gateway_differences::found_at.eq(at),
                );
                diesel::insert_into(gateway_differences::table).values(row).execute(conn).await?;
            }
            Ok::<_, TxError<Unavailable>>(())
        });
        recording.await
    }
}

#[async_trait]
impl Reconciliations for PostgresReconciliations {
    async fn unreconciled(&self, begun_before: Timestamp, limit: u32) -> Result<Vec<Unreconciled>, Unavailable> {
        let find = || self.try_unreconciled(begun_before, limit);
        self.database.transact("reconciliations.unreconciled", find).await
    }

    async fn record(
        &self,
        attempt: AttemptId,
        difference: Option<Difference>,
        at: Timestamp,
    ) -> Result<(), Unavailable> {
        self.database.transact("reconciliations.record", || self.try_record(attempt, difference, at)).await
    }
}
