//! The queries of the audit, one file per rule in `audit/`. Each returns one row per finding, with a subject and a detail.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_domain::audit::{AuditReport, FINDINGS_PER_PROMISE_MAX, Finding, HOLD_OVERDUE_AFTER, Promise};
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Audit;
use uuid::Uuid;

use crate::database::Database;
use crate::error::TxError;
use crate::statement::sql;

/// The settings of a sweep's transaction. Sweeps are rare, so each may use more memory for hash joins. They join whole
/// tables, for which a planner without statistics would choose merge joins. They read whole tables, and which ones
/// depends on the parameters, so generic plans without sequential scans do not fit. JIT compilation takes longer than
/// the statements.
const SWEEP_SETTINGS: &str = "
    SET LOCAL work_mem = '64MB';
    SET LOCAL enable_mergejoin = off;
    SET LOCAL enable_seqscan = on;
    SET LOCAL plan_cache_mode = force_custom_plan;
    SET LOCAL jit = off";
/// How long one statement of a sweep without a scope may run.
const SWEEP_STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = '5min'";

/// [`Audit`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresAudit {
    database: Database,
}

/// One rule of a promise.
struct Check {
    promise: Promise,
    query: &'static str,
    /// The third parameter, if the query has one.
    argument: Option<String>,
}

/// A query of `audit/`, limited to the first `$2` findings in a stable order. Each row also has the total number of
/// findings. `$1` is the scope.
macro_rules! query {
    ($file:literal) => {
        concat!(
            "SELECT count(*) OVER () AS total, subject, detail FROM (\n",
            include_str!(concat!("audit/", $file, ".sql")),
            ") AS finding ORDER BY subject, detail LIMIT $2"
        )
    };
}

fn checks() -> [Check; 15] {
    let check = |promise, query| Check { promise, query, argument: None };
    let with = |promise, query, argument: String| Check { promise, query, argument: Some(argument) };
    let overdue_after = format!("{} milliseconds", HOLD_OVERDUE_AFTER.as_millis());
    [
        check(Promise::DoubleSoldSeat, query!("double_sold_seat")),
        with(Promise::PaidWithoutSeat, query!("missing_claim"), "confirmed".to_owned()),
        check(Promise::PaidWithoutSeat, query!("paid_without_seat")),
        with(Promise::OrphanHold, query!("missing_claim"), "held".to_owned()),
        check(Promise::OrphanHold, query!("orphan_hold")),
        check(Promise::MoneyMadeOrLost, query!("money_of_transfers")),
        check(Promise::MoneyMadeOrLost, query!("money_of_payments")),
        check(Promise::MoneyMadeOrLost, query!("money_of_refunds")),
        check(Promise::MoneyMadeOrLost, query!("money_of_cards")),
        check(Promise::MoneyMadeOrLost, query!("money_of_wallets")),
        check(Promise::MoneyMadeOrLost, query!("money_at_gateway")),
        check(Promise::NegativeWallet, query!("negative_wallet")),
        check(Promise::RepeatedEffect, query!("repeated_effect")),
        check(Promise::OutboxGap, query!("outbox_gap")),
        with(Promise::OverdueHold, query!("overdue_hold"), overdue_after),
    ]
}

#[derive(QueryableByName)]
struct FindingRow {
    /// The number of findings, including those beyond the limit.
    #[diesel(sql_type = BigInt)]
    total: i64,
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Examined {
    #[diesel(sql_type = BigInt)]
    live_seats: i64,
    #[diesel(sql_type = BigInt)]
    confirmed: i64,
    #[diesel(sql_type = BigInt)]
    held: i64,
    #[diesel(sql_type = BigInt)]
    claims: i64,
    #[diesel(sql_type = BigInt)]
    transfers: i64,
    #[diesel(sql_type = BigInt)]
    wallets: i64,
    #[diesel(sql_type = BigInt)]
    effects: i64,
    #[diesel(sql_type = BigInt)]
    events: i64,
}

impl PostgresAudit {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_sweep(&self, scope: Option<Uuid>) -> Result<AuditReport, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let mut snapshot = conn.build_transaction().read_only().repeatable_read();
        let sweeping = snapshot.run(async |conn| {
            conn.batch_execute(SWEEP_SETTINGS).await?;
            if scope.is_none() {
                conn.batch_execute(SWEEP_STATEMENT_TIMEOUT).await?;
            }
            let mut report = examine(conn, scope).await?;
            for check in checks() {
                run(conn, &check, scope, &mut report).await?;
            }
            Ok(report)
        });
        sweeping.await
    }
}

#[async_trait]
impl Audit for PostgresAudit {
    async fn sweep(&self, scope: Option<PerformanceId>) -> Result<AuditReport, Unavailable> {
        let scope = scope.map(|performance| performance.0);
        self.database.transact("audit.sweep", || self.try_sweep(scope)).await
    }
}

async fn examine(conn: &mut AsyncPgConnection, scope: Option<Uuid>) -> QueryResult<AuditReport> {
    let query = sql(include_str!("audit/examined.sql")).bind::<Nullable<SqlUuid>, _>(scope);
    let examined: Examined = query.get_result(conn).await?;
    let mut report = AuditReport::default();
    for (promise, rows) in [
        (Promise::DoubleSoldSeat, examined.live_seats),
        (Promise::PaidWithoutSeat, examined.confirmed),
        (Promise::OrphanHold, examined.claims),
        (Promise::MoneyMadeOrLost, examined.transfers),
        (Promise::NegativeWallet, examined.wallets),
        (Promise::RepeatedEffect, examined.effects),
        (Promise::OutboxGap, examined.events),
        (Promise::OverdueHold, examined.held),
    ] {
        report.examine(promise, rows.cast_unsigned());
    }
    Ok(report)
}

async fn run(
    conn: &mut AsyncPgConnection,
    check: &Check,
    scope: Option<Uuid>,
    report: &mut AuditReport,
) -> QueryResult<()> {
    let limit = i64::try_from(FINDINGS_PER_PROMISE_MAX).unwrap_or(i64::MAX);
    let query = sql(check.query).bind::<Nullable<SqlUuid>, _>(scope).bind::<BigInt, _>(limit);
    let rows: Vec<FindingRow> = match &check.argument {
        Some(argument) => query.bind::<Text, _>(argument).load(conn).await?,
        None => query.load(conn).await?,
    };
    let total = rows.iter().map(|row| row.total.cast_unsigned()).max().unwrap_or(0);
    let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    report.find_unshown(check.promise, total.saturating_sub(shown));
    for row in rows {
        report.find(Finding::new(check.promise, row.subject, row.detail));
    }
    Ok(())
}
