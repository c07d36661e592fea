//! The migrations apply, revert and apply again.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_postgres_store::{Database, migration};

/// A line for each column, constraint, index and sequence of the schema.
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
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut conn = AsyncPgConnection::establish(url).await.expect("the scratch database accepts connections");
    let lines: Vec<Row> = diesel::sql_query(SCHEMA).load(&mut conn).await.expect("the schema can be read");
    lines.into_iter().map(|line| line.line).collect()
}

#[tokio::test]
async fn migrations_revert_and_apply_again() {
    let scratch = common::scratch().await;
    let url = scratch.url();
    let first = schema(&url).await;
    assert!(first.iter().any(|line| line.contains("claims_pkey")), "{first:#?}");

    let mut versions = migration::versions();
    versions.reverse();
    assert_eq!(migration::pending(&url).await.expect("a look"), [""; 0]);
    assert_eq!(migration::revert_all(&url).await.expect("the migrations revert"), versions);
    assert_eq!(migration::pending(&url).await.expect("a look"), migration::versions());
    assert_eq!(schema(&url).await, Vec::<String>::new());

    versions.reverse();
    assert_eq!(migration::migrate(&url).await.expect("the migrations apply"), versions);
    assert_eq!(schema(&url).await, first);
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    let scratch = common::scratch().await;
    let url = scratch.url();
    migration::revert_all(&url).await.expect("the migrations revert");

    let (a, b, c) = tokio::join!(migration::migrate(&url), migration::migrate(&url), migration::migrate(&url));
    let mut applied: Vec<String> =
        [a, b, c].into_iter().flat_map(|versions| versions.expect("the migrations apply")).collect();
    applied.sort();
    assert_eq!(applied, migration::versions());
}

#[tokio::test]
async fn a_wrong_url_fails_at_start_up() {
    let mut config = common::scratch().await.config();
    config.url.push_str("_that_does_not_exist");
    let refused = Database::connect(&config).await.expect_err("the database does not exist");
    assert_eq!(refused.to_string(), "postgres is unavailable");
    assert!(refused.source.is_some(), "the error has its cause");
}
