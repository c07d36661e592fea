//! The entries of draws. Whoever adds entries to a queue, or closes its draw, locks the row with the counts of the queue.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, SmallInt, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::page::PageRequest;
use encore_domain::ports::DrawClosed;
use encore_domain::queue::{DrawEntries, DrawEntry, DrawEntryCursor};
use futures::{TryFutureExt, try_join};
use uuid::Uuid;

use crate::batcher::Batched;
use crate::codec::{lane_column, read_lane};
use crate::database::Database;
use crate::error::TxError;
use crate::schema::queue_entry_counts;
use crate::statement::{Cached, sql};

/// The result of one entry.
pub type EnterAnswer = Result<u64, PortError<DrawClosed>>;

/// A fan who enters the draw of a lane of a queue.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// The run of the queue.
    pub epoch: i64,
    /// Who enters.
    pub user: UserId,
    /// The index of the lane.
    pub lane: u8,
}

impl Batched for Entrant {
    fn key(&self) -> Option<(Uuid, Uuid)> {
        Some((self.user.0, Uuid::nil()))
    }
}

/// Enters different fans into the draw of one queue, in one transaction for each of its runs; there are two only while it is
/// restored.
pub async fn enter_all(database: &Database, performance: PerformanceId, entrants: &[Entrant]) -> Vec<EnterAnswer> {
    let mut runs: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, entrant) in entrants.iter().enumerate() {
        runs.entry(entrant.epoch).or_default().push(at);
    }
    let mut answers: Vec<EnterAnswer> = entrants.iter().map(|_| Err(Unavailable::of("postgres").into())).collect();
    for (epoch, members) in runs {
        let fans: Vec<(UserId, u8)> = members.iter().map(|&at| (entrants[at].user, entrants[at].lane)).collect();
        let entered = database.transact("draws.enter", || enter(database, performance, epoch, &fans)).await;
        for (turn, at) in members.into_iter().enumerate() {
            answers[at] = match &entered {
                Ok(Ok(indexes)) => Ok(indexes[turn]),
                Ok(Err(closed)) => Err(PortError::Refused(closed.clone())),
                Err(Unavailable { what, .. }) => Err(Unavailable::of(what).into()),
            };
        }
    }
    answers
}

/// The indexes of different fans in the order of the fans, or that the draw is closed.
type Entered = Result<Vec<u64>, DrawClosed>;

async fn enter(
    database: &Database,
    performance: PerformanceId,
    epoch: i64,
    fans: &[(UserId, u8)],
) -> Result<Entered, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let entering = conn.transaction(async |conn| {
        let DrawEntries { mut joined, closed } = lock(conn, performance).await?;
        if closed {
            return Ok(Err(DrawClosed { joined }));
        }
        let before = find(conn, performance, fans).await?;
        let (mut indexes, mut new) = (Vec::with_capacity(fans.len()), Vec::new());
        for (user, lane) in fans {
            let known = before.get(&(user.0, lane_column(*lane))).copied();
            let index = if let Some(index) = known {
                index
            } else {
                let count = joined.get_mut(usize::from(*lane)).ok_or(diesel::result::Error::NotFound)?;
                *count += 1;
                new.push((user.0, lane_column(*lane), count.cast_signed()));
                *count
            };
            indexes.push(index);
        }
        try_join!(
            insert(conn, performance, &joined, &new),
            take_back_ends(
                conn,
                performance,
                epoch,
                before.into_iter().map(|((_, lane), index)| (lane, index)).collect()
            ),
        )?;
        Ok(Ok(indexes))
    });
    entering.await
}

#[derive(QueryableByName)]
struct CountsRow {
    #[diesel(sql_type = Array<BigInt>)]
    joined: Vec<i64>,
    #[diesel(sql_type = Bool)]
    closed: bool,
}

impl CountsRow {
    fn into_entries(self) -> DrawEntries {
        DrawEntries { joined: self.joined.into_iter().map(i64::cast_unsigned).collect(), closed: self.closed }
    }
}

/// Locks the counts of a queue, which are added if they are missing.
async fn lock(conn: &mut AsyncPgConnection, performance: PerformanceId) -> QueryResult<DrawEntries> {
    const LOCK: &str = "
        INSERT INTO queue_entry_counts (performance_id, joined, closed)
        SELECT performance_id, array_fill(0::bigint, ARRAY[cardinality(lane_names)]), false
        FROM queues WHERE performance_id = $1
        ON CONFLICT (performance_id) DO UPDATE SET closed = queue_entry_counts.closed
        RETURNING joined, closed";
    let row: CountsRow = Cached(sql(LOCK).bind::<SqlUuid, _>(performance.0)).get_result(conn).await?;
    Ok(row.into_entries())
}

/// The entries that these fans have in their lanes.
async fn find(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    fans: &[(UserId, u8)],
) -> QueryResult<HashMap<(Uuid, i16), u64>> {
    const FIND: &str = "
        SELECT user_id, lane, index
        FROM queue_entries JOIN unnest($2, $3) AS fan (user_id, lane) USING (user_id, lane)
        WHERE performance_id = $1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        user_id: Uuid,
        #[diesel(sql_type = SmallInt)]
        lane: i16,
        #[diesel(sql_type = BigInt)]
        index: i64,
    }
    let query = sql(FIND)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|(user, _)| user.0).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(fans.iter().map(|(_, lane)| lane_column(*lane)).collect::<Vec<_>>());
    let rows: Vec<Row> = Cached(query).load(conn).await?;
    Ok(rows.into_iter().map(|row| ((row.user_id, row.lane), row.index.cast_unsigned())).collect())
}

/// The entries of a fan after a cursor, one more than fit into the page. Looks each queue up by the primary key: an index by user would be
/// paid for by every fan who joins.
pub async fn of_user(
    conn: &mut AsyncPgConnection,
    user: UserId,
    page: PageRequest<DrawEntryCursor>,
) -> QueryResult<Vec<DrawEntry>> {
    const OF_USER: &str = "
        SELECT entry.performance_id, entry.lane, entry.index
        FROM queues
        CROSS JOIN LATERAL (
            SELECT performance_id, lane, index FROM queue_entries
            WHERE queue_entries.performance_id = queues.performance_id AND user_id = $1
        ) AS entry
        WHERE queues.performance_id >= $2 AND (entry.performance_id, entry.lane) > ($2, $3)
        ORDER BY entry.performance_id, entry.lane
        LIMIT $4";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        performance_id: Uuid,
        #[diesel(sql_type = SmallInt)]
        lane: i16,
        #[diesel(sql_type = BigInt)]
        index: i64,
    }
    let (performance, lane) =
        page.after.map_or((Uuid::nil(), -1), |(performance, lane)| (performance.0, lane_column(lane)));
    let query = sql(OF_USER)
        .bind::<SqlUuid, _>(user.0)
        .bind::<SqlUuid, _>(performance)
        .bind::<SmallInt, _>(lane)
        .bind::<BigInt, _>(i64::from(page.size) + 1);
    let rows: Vec<Row> = Cached(query).load(conn).await?;
    let entry = |row: Row| {
        let lane = read_lane(row.lane)?;
        Ok(DrawEntry { performance: PerformanceId(row.performance_id), lane, index: row.index.cast_unsigned() })
    };
    rows.into_iter().map(entry).collect()
}

/// Adds entries, and stores the counts with them.
async fn insert(
    conn: &AsyncPgConnection,
    performance: PerformanceId,
    joined: &[u64],
    new: &[(Uuid, i16, i64)],
) -> QueryResult<()> {
    const INSERT: &str = "
        WITH counted AS (UPDATE queue_entry_counts SET joined = $2 WHERE performance_id = $1)
        INSERT INTO queue_entries (performance_id, user_id, lane, index)
        SELECT $1, user_id, lane, index FROM unnest($3, $4, $5) AS entry (user_id, lane, index)";
    if new.is_empty() {
        return Ok(());
    }
    let insert = sql(INSERT)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<Array<BigInt>, _>(joined.iter().map(|count| count.cast_signed()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(new.iter().map(|(user, _, _)| *user).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(new.iter().map(|(_, lane, _)| *lane).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(new.iter().map(|(_, _, index)| *index).collect::<Vec<_>>());
    Cached(insert).execute(&mut &*conn).map_ok(drop).await
}

/// Takes back that the tokens with these indexes ended: their fans enter again.
async fn take_back_ends(
    conn: &AsyncPgConnection,
    performance: PerformanceId,
    epoch: i64,
    entries: Vec<(i16, u64)>,
) -> QueryResult<()> {
    const DELETE: &str = "
        DELETE FROM ended_queue_tokens AS ended
        USING unnest($3, $4) AS entry (lane, index)
        WHERE ended.performance_id = $1 AND ended.epoch = $2 AND ended.lane = entry.lane AND ended.index = entry.index";
    if entries.is_empty() {
        return Ok(());
    }
    let delete = sql(DELETE)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<BigInt, _>(epoch)
        .bind::<Array<SmallInt>, _>(entries.iter().map(|(lane, _)| *lane).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(entries.iter().map(|(_, index)| index.cast_signed()).collect::<Vec<_>>());
    Cached(delete).execute(&mut &*conn).map_ok(drop).await
}

/// Closes the draw of a queue. Waits for those who are entering. Returns the counts.
pub async fn close(conn: &mut AsyncPgConnection, performance: PerformanceId) -> QueryResult<Vec<u64>> {
    const CLOSE: &str = "
        INSERT INTO queue_entry_counts (performance_id, joined, closed)
        SELECT performance_id, array_fill(0::bigint, ARRAY[cardinality(lane_names)]), true
        FROM queues WHERE performance_id = $1
        ON CONFLICT (performance_id) DO UPDATE SET closed = true
        RETURNING joined, closed";
    let row: CountsRow = Cached(sql(CLOSE).bind::<SqlUuid, _>(performance.0)).get_result(conn).await?;
    Ok(row.into_entries().joined)
}

/// The counts of a queue.
pub async fn counts(conn: &mut AsyncPgConnection, performance: PerformanceId) -> QueryResult<DrawEntries> {
    use queue_entry_counts::dsl;
    let query = queue_entry_counts::table.find(performance.0).select((dsl::joined, dsl::closed));
    let row: Option<(Vec<i64>, bool)> = query.first(conn).await.optional()?;
    Ok(row.map_or_else(DrawEntries::default, |(joined, closed)| CountsRow { joined, closed }.into_entries()))
}
