use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::money::Currency;
use encore_domain::payment::settlement::{Settlement, SettlementItem};
use encore_domain::ports::Settlements;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::sql;

/// [`Settlements`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSettlements {
    database: Database,
}

impl PostgresSettlements {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = BigInt)]
    payments: i64,
    #[diesel(sql_type = BigInt)]
    sold_minor: i64,
    #[diesel(sql_type = BigInt)]
    refunds: i64,
    #[diesel(sql_type = BigInt)]
    refunded_minor: i64,
    #[diesel(sql_type = BigInt)]
    fees_minor: i64,
    #[diesel(sql_type = BigInt)]
    open_refunds: i64,
    #[diesel(sql_type = BigInt)]
    open_disputes: i64,
    #[diesel(sql_type = BigInt)]
    lost_disputes: i64,
}

/// What was paid, and the refunds and disputes of it. A refund to a card is open until an event says that it succeeded or failed. The
/// last event of a dispute says how it is.
const SETTLE: &str = "
    SELECT
        p.method,
        count(*) AS payments,
        coalesce(sum(p.amount_minor), 0)::bigint AS sold_minor,
        coalesce(sum(f.refunds), 0)::bigint AS refunds,
        coalesce(sum(f.refunded_minor), 0)::bigint AS refunded_minor,
        coalesce(sum(f.fees_minor), 0)::bigint AS fees_minor,
        coalesce(sum(f.open_refunds), 0)::bigint AS open_refunds,
        coalesce(sum(d.open_disputes), 0)::bigint AS open_disputes,
        coalesce(sum(d.lost_disputes), 0)::bigint AS lost_disputes
    FROM payments p
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS refunds,
            sum(r.price_minor - r.fee_minor) AS refunded_minor,
            sum(r.fee_minor) AS fees_minor,
            count(*) FILTER (WHERE r.to_card AND NOT EXISTS (
                SELECT FROM payment_attempts a
                JOIN payment_events e ON e.attempt_id = a.id
                WHERE a.payment_id = p.id AND e.refund_id = r.id AND e.outcome IN ('succeeded', 'failed')
            )) AS open_refunds
        FROM refunds r
        WHERE r.payment_id = p.id AND r.cause IN ('cancelled', 'not_taken')
    ) f
    CROSS JOIN LATERAL (
        SELECT
            count(*) FILTER (WHERE last.outcome IN ('requested', 'unknown')) AS open_disputes,
            count(*) FILTER (WHERE last.outcome = 'succeeded') AS lost_disputes
        FROM payment_attempts a
        CROSS JOIN LATERAL (
            SELECT outcome FROM payment_events e
            WHERE e.attempt_id = a.id AND e.step = 'dispute'
            ORDER BY e.number DESC LIMIT 1
        ) last
        WHERE p.method = 'card' AND a.payment_id = p.id
    ) d
    WHERE p.performance_id = $1
    GROUP BY p.method";

#[async_trait]
impl Settlements for PostgresSettlements {
    async fn of(&self, performance: PerformanceId, currency: Currency) -> Result<Settlement, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = sql(SETTLE).bind::<SqlUuid, _>(performance.0);
        let rows: Vec<Row> = query.load(&mut conn).await.map_err(unavailable)?;
        let mut settled = Settlement::of(performance, currency);
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        for row in rows {
            let item = SettlementItem {
                payments: count(row.payments),
                sold_minor: row.sold_minor,
                refunds: count(row.refunds),
                refunded_minor: row.refunded_minor,
                fees_minor: row.fees_minor,
            };
            settled.open_refunds += count(row.open_refunds);
            settled.open_disputes += count(row.open_disputes);
            settled.lost_disputes += count(row.lost_disputes);
            *(if row.method == "card" { &mut settled.card } else { &mut settled.wallet }) = item;
        }
        Ok(settled)
    }
}
