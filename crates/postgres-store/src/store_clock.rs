use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ports::StoreClock;
use encore_domain::time::Timestamp;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::{Cached, sql};

/// [`StoreClock`] of Postgres.
#[derive(Clone, Debug)]
pub struct PostgresClock {
    database: Database,
}

impl PostgresClock {
    /// The clock of this database's server.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamptz)]
    now: Timestamp,
}

#[async_trait]
impl StoreClock for PostgresClock {
    async fn now(&self) -> Result<Timestamp, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = Cached(sql("SELECT clock_timestamp() AS now"));
        let Now { now } = query.get_result(&mut conn).await.map_err(unavailable)?;
        Ok(now)
    }
}
