#![expect(clippy::expect_used, reason = "tests")]

use encore_postgres_store::scratch::ScratchDatabase;

/// A database for this test.
pub async fn scratch() -> ScratchDatabase {
    let server = std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
    ScratchDatabase::create(&server).await
}
