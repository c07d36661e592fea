//! Applies and reverts the embedded migrations.

use std::time::Duration;

use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::prelude::QueryableByName;
use diesel::sql_types::{Bool, Integer, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use encore_domain::error::Unavailable;
use tokio::time::timeout;

use crate::connecting::connect;
use crate::error::unavailable;
use crate::locks;
use crate::statement::sql;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// How long the server may take to accept the connection. The wait for the migration by another instance is not limited.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type HarnessResult<T> = diesel::migration::Result<T>;

/// Applies the pending migrations. Returns their versions. If several instances call this at once, one applies the
/// migrations and the others wait for it.
pub async fn migrate(url: &str) -> Result<Vec<String>, Unavailable> {
    run(url, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
    .await
}

/// The versions of the migrations that were not applied yet. Writes nothing, not even the table of migrations.
pub async fn pending(url: &str) -> Result<Vec<String>, Unavailable> {
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Bool)]
        is_there: bool,
    }
    let mut conn = connected(url).await?;
    let table = sql("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS is_there");
    let known: Known = table.get_result(&mut conn).await.map_err(unavailable)?;
    let applied: Vec<Version> = if known.is_there {
        sql("SELECT version FROM __diesel_schema_migrations").load(&mut conn).await.map_err(unavailable)?
    } else {
        Vec::new()
    };
    Ok(versions().into_iter().filter(|version| applied.iter().all(|it| it.version != *version)).collect())
}

/// Reverts all migrations, which deletes all data. Returns their versions, latest first.
pub async fn revert_all(url: &str) -> Result<Vec<String>, Unavailable> {
    run(url, |harness| {
        let reverted = harness.revert_all_migrations(MIGRATIONS)?;
        Ok(reverted.iter().map(ToString::to_string).collect())
    })
    .await
}

/// The versions of all migrations, in order: the digits in the names of their folders.
pub fn versions() -> Vec<String> {
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap_or_default();
    let mut versions: Vec<String> = migrations.iter().map(|step| step.name().version().to_string()).collect();
    versions.sort();
    versions
}

async fn run<T: Send + 'static>(
    url: &str,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> HarnessResult<T> + Send + 'static,
) -> Result<T, Unavailable> {
    let mut conn = connected(url).await?;
    // Held until the connection closes at the end of this function.
    sql("SELECT pg_advisory_lock($1, $2)")
        .bind::<Integer, _>(locks::NAMESPACE)
        .bind::<Integer, _>(locks::MIGRATION)
        .execute(&mut conn)
        .await
        .map_err(unavailable)?;
    // The harness blocks its thread.
    let migrating = tokio::task::spawn_blocking(move || work(&mut AsyncMigrationHarness::new(conn)));
    migrating.await.map_err(unavailable)?.map_err(unavailable)
}

async fn connected(url: &str) -> Result<AsyncPgConnection, Unavailable> {
    let connecting = timeout(CONNECT_TIMEOUT, connect(url)).await;
    connecting.map_err(unavailable)?.map_err(unavailable)
}
