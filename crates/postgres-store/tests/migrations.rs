//! The schema goes up, down and up again.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Catalog, Payments};
use encore_domain::queue::{Line, LineRate, LineSettings, UsedPlace};
use encore_postgres_store::{Database, PostgresCatalog, PostgresPayments, migration};

/// Each thing of the schema in a line: columns, constraints, indexes, sequences.
async fn schema(url: &str) -> Vec<String> {
    const SCHEMA: &str = "
        SELECT line FROM (
            SELECT format('column %s.%s %s %s %s %s %s', table_name, column_name, ordinal_position, data_type, is_nullable,
                column_default, collation_name) AS line
            FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL
            SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL
            SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL
            SELECT format('sequence %s', sequencename) FROM pg_sequences WHERE schemaname = 'public'
        ) AS lines
        WHERE line NOT LIKE '%__diesel_schema_migrations%'
        ORDER BY line";
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut conn = AsyncPgConnection::establish(url).await.expect("the scratch database accepts connections");
    let lines: Vec<Line> = diesel::sql_query(SCHEMA).load(&mut conn).await.expect("the schema can be read");
    lines.into_iter().map(|line| line.line).collect()
}

#[tokio::test]
async fn the_schema_goes_up_down_and_up() {
    let scratch = common::scratch().await;
    let url = scratch.url();
    let first = schema(&url).await;
    assert!(first.iter().any(|line| line.contains("claims_pkey")), "{first:#?}");

    let mut versions = migration::versions();
    versions.reverse();
    assert_eq!(migration::revert_all(&url).await.expect("the migrations go back"), versions);
    assert_eq!(schema(&url).await, Vec::<String>::new());

    versions.reverse();
    assert_eq!(migration::migrate(&url).await.expect("the migrations apply"), versions);
    assert_eq!(schema(&url).await, first);
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    let scratch = common::scratch().await;
    let url = scratch.url();
    migration::revert_all(&url).await.expect("the migrations go back");

    let (a, b, c) = tokio::join!(migration::migrate(&url), migration::migrate(&url), migration::migrate(&url));
    let mut applied: Vec<String> =
        [a, b, c].into_iter().flat_map(|versions| versions.expect("waits for the other")).collect();
    applied.sort();
    assert_eq!(applied, migration::versions());
}

#[tokio::test]
async fn a_wrong_address_is_told_at_start() {
    let mut config = common::scratch().await.config();
    config.url.push_str("_that_is_not_there");
    let refused = Database::connect(&config).await.expect_err("there is no such database");
    assert_eq!(refused.to_string(), "postgres is unavailable");
    assert!(refused.source.is_some(), "the cause is kept");
}

/// A release that knew neither lanes nor used tickets has sold.
#[tokio::test]
async fn lines_and_used_tickets_of_the_release_before_are_kept() {
    const BACK: [&str; 3] = [
        include_str!("../../../migrations/2026-11-25-000003_used_before/down.sql"),
        include_str!("../../../migrations/2026-11-25-000002_used_tickets/down.sql"),
        include_str!("../../../migrations/2026-11-25-000001_line/down.sql"),
    ];
    const SOLD: &str = "
        INSERT INTO lines VALUES ('00000000-0000-0000-0000-00000000000a', 5, 1000, 7, 9, true, 30000, 600000, 120000);
        INSERT INTO payments
        SELECT md5(id::text)::uuid, md5(id::text)::uuid, md5(user_id)::uuid,
            '00000000-0000-0000-0000-00000000000a', 1, 'EUR', '2026-06-01T10:00:00Z', epoch, number
        FROM (VALUES (1, 'a', 5, 17), (2, 'b', 5, 18), (3, 'b', 5, 18), (4, 'b', 6, 18), (5, 'c', NULL, NULL))
            AS payments (id, user_id, epoch, number)";
    const AGAIN: [&str; 3] = [
        include_str!("../../../migrations/2026-11-25-000001_line/up.sql"),
        include_str!("../../../migrations/2026-11-25-000002_used_tickets/up.sql"),
        include_str!("../../../migrations/2026-11-25-000003_used_before/up.sql"),
    ];
    let scratch = common::scratch().await;
    let mut conn =
        AsyncPgConnection::establish(&scratch.url()).await.expect("the scratch database accepts connections");
    // What the rows refer to is left out.
    let unguarded = "SET session_replication_role = replica";
    for step in [unguarded].into_iter().chain(BACK).chain([SOLD]).chain(AGAIN) {
        conn.batch_execute(step).await.expect(step);
    }

    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    let performance = PerformanceId("00000000-0000-0000-0000-00000000000a".parse().expect("a uuid"));
    let line = PostgresCatalog::new(database.clone()).line(performance).await.expect("the store answers");
    let rate = LineRate { admissions: 5, period: Duration::from_secs(1) };
    let settings = LineSettings { rate, batch: 7, cap: 9, paused: true, ..LineSettings::default() };
    assert_eq!(line, Some(Line { settings, draw: None }));
    let payments = PostgresPayments::new(database);
    let mut used = payments.used_tickets(performance, 5).await.expect("the store answers");
    used.sort();
    assert_eq!(used, [UsedPlace { lane: 0, index: 17 }, UsedPlace { lane: 0, index: 18 }]);
    let used = payments.used_tickets(performance, 6).await.expect("the store answers");
    assert_eq!(used, [UsedPlace { lane: 0, index: 18 }]);
}
