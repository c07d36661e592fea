use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{DrawClosed, Draws};
use encore_domain::queue::{DrawEntries, DrawEntry, DrawEntryCursor, Drawn};
use futures::try_join;
use moka::sync::Cache;

use crate::batcher::{BATCH_MAX, Batcher};
use crate::codec::{lane_column, read_lane};
use crate::database::Database;
use crate::draw_entries::{self, EnterAnswer, Entrant};
use crate::error::{corrupt, unavailable};
use crate::schema::queue_draws;
use crate::statement::Cached;

/// How long the batcher of a queue is kept after its last entry.
const BATCHER_KEPT: Duration = Duration::from_mins(10);

/// [`Draws`] on Postgres. Entries are batched by queue, so that one whose counts are locked delays no other.
#[derive(Clone, Debug)]
pub struct PostgresDraws {
    database: Database,
    entering: Cache<PerformanceId, Batcher<Entrant, EnterAnswer>>,
}

impl PostgresDraws {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        let entering = Cache::builder().time_to_idle(BATCHER_KEPT).build();
        Self { database, entering }
    }

    fn batcher(&self, performance: PerformanceId) -> Batcher<Entrant, EnterAnswer> {
        self.entering.get_with(performance, || {
            let database = self.database.clone();
            Batcher::new("enter_draw", BATCH_MAX, move |entrants: Arc<[Entrant]>| {
                let database = database.clone();
                Box::pin(async move { Ok(draw_entries::enter_all(&database, performance, &entrants).await) })
            })
        })
    }
}

async fn load(conn: &AsyncPgConnection, performance: PerformanceId) -> QueryResult<Option<Vec<Drawn>>> {
    let query = queue_draws::table.find(performance.0).select(QueueDrawsRow::as_select());
    query.first(&mut &*conn).await.optional()?.map(QueueDrawsRow::into_drawn).transpose()
}

#[async_trait]
impl Draws for PostgresDraws {
    async fn enter(
        &self,
        performance: PerformanceId,
        epoch: i64,
        user: UserId,
        lane: u8,
    ) -> Result<u64, PortError<DrawClosed>> {
        self.batcher(performance).submit(Entrant { epoch, user, lane }).await?
    }

    async fn close(&self, performance: PerformanceId) -> Result<Vec<u64>, Unavailable> {
        let mut conn = self.database.connection().await?;
        draw_entries::close(&mut conn, performance).await.map_err(unavailable)
    }

    async fn entries(&self, performance: PerformanceId) -> Result<DrawEntries, Unavailable> {
        let mut conn = self.database.connection().await?;
        draw_entries::counts(&mut conn, performance).await.map_err(unavailable)
    }

    async fn entries_of(
        &self,
        user: UserId,
        page: PageRequest<DrawEntryCursor>,
    ) -> Result<Page<DrawEntry, DrawEntryCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let rows = draw_entries::of_user(&mut conn, user, page).await.map_err(unavailable)?;
        Ok(Page::from_rows(rows, page.size, DrawEntry::cursor))
    }

    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable> {
        let conn = self.database.connection().await?;
        let row = (queue_draws::performance_id.eq(performance.0), QueueDrawsRow::of(drawn));
        let insert = diesel::insert_into(queue_draws::table).values(row).on_conflict_do_nothing();
        // Draws are never deleted, so the row exists after the insert, whoever inserted it.
        let (_, stored) = try_join!(async { Cached(insert).execute(&mut &*conn).await }, load(&conn, performance))
            .map_err(unavailable)?;
        stored.ok_or_else(|| unavailable(diesel::result::Error::NotFound))
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable> {
        let conn = self.database.connection().await?;
        load(&conn, performance).await.map_err(unavailable)
    }
}

/// A draw without its performance. Each array has one element per lane, in the order of the lanes.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = queue_draws)]
struct QueueDrawsRow {
    lanes: Vec<i16>,
    joined: Vec<i64>,
    digests: Vec<Vec<u8>>,
}

impl QueueDrawsRow {
    fn of(drawn: &[Drawn]) -> Self {
        let mut drawn = drawn.to_vec();
        drawn.sort_unstable_by_key(|drawn| drawn.lane);
        Self {
            lanes: drawn.iter().map(|drawn| lane_column(drawn.lane)).collect(),
            joined: drawn.iter().map(|drawn| drawn.count.cast_signed()).collect(),
            digests: drawn.iter().map(|drawn| drawn.digest.to_vec()).collect(),
        }
    }

    fn into_drawn(self) -> QueryResult<Vec<Drawn>> {
        let read = |((lane, joined), digest): ((i16, i64), Vec<u8>)| {
            let digest = digest.try_into().map_err(|_| corrupt("draw digest", "a digest of the wrong length"))?;
            Ok(Drawn { lane: read_lane(lane)?, count: joined.cast_unsigned(), digest })
        };
        self.lanes.into_iter().zip(self.joined).zip(self.digests).map(read).collect()
    }
}
