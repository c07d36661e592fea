use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::booking::seat_block::SeatBlock;
use encore_domain::catalog::Performance;
use encore_domain::catalog::performance_change::{ChangeRefusal, PerformanceChange};
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::PerformanceChanges;
use encore_domain::request::{Applied, RequestKey};

use crate::database::Database;
use crate::error::{TxError, corrupt};
use crate::event_record::performances::PerformanceRecord;
use crate::performance_rows::{self, PerformanceRow};
use crate::requests::{self, Operation, Remembered};
use crate::schema::performances;
use crate::{audit_log, claims, outbox, seat_blocks};

type ChangeError = TxError<RequestError<ChangeRefusal>>;

/// [`PerformanceChanges`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresPerformanceChanges {
    database: Database,
}

impl PostgresPerformanceChanges {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_change(
        &self,
        id: PerformanceId,
        change: &PerformanceChange,
        act: &StaffAct,
    ) -> Result<Applied<Performance>, ChangeError> {
        let request = act.request.as_ref();
        let mut conn = self.database.connection().await?;
        let changing = conn.transaction(async |conn| {
            let known = requests::remember(conn, Operation::ChangePerformance, request, id.0, Some(act.at)).await?;
            if let Some(known) = known {
                return Ok(Applied::Before(first_answer(known)?));
            }
            let before = lock(conn, id).await?.ok_or_else(|| TxError::refused(ChangeRefusal::Unknown(id)))?;
            let after = change.apply(&before, act.at).map_err(TxError::refused)?;
            if after != before {
                if let PerformanceChange::Withdraw(blocked) = change {
                    block_all(conn, id, &blocked.blocks).await?;
                }
                performance_rows::change(conn, &after, act.at).await?;
                audit_log::note(conn, Some(act.changed_performance(&before, &after))).await?;
                outbox::append(conn, &events_of(change, &before, &after, act)).await?;
            }
            if let Some(request) = request {
                let answer = serde_json::to_value(PerformanceRecord::from(&after));
                let answer = answer.map_err(|error| corrupt("performance change answer", &error))?;
                requests::keep_answer(conn, request, answer).await?;
            }
            Ok(Applied::Now(after))
        });
        changing.await
    }
}

/// The performance of this id, locked until the transaction ends. Blocks of its seats, which refer to it, do not wait.
async fn lock(conn: &mut AsyncPgConnection, id: PerformanceId) -> QueryResult<Option<Performance>> {
    let query = performances::table.find(id.0).select(PerformanceRow::as_select()).for_no_key_update();
    let row: Option<PerformanceRow> = query.first(conn).await.optional()?;
    row.map(PerformanceRow::into_performance).transpose()
}

/// The events of a change: those of the blocks of a withdrawal come first.
fn events_of(change: &PerformanceChange, before: &Performance, after: &Performance, act: &StaffAct) -> Vec<Event> {
    let blocks = match change {
        PerformanceChange::Withdraw(blocked) => blocked.blocks.as_slice(),
        PerformanceChange::Postpone(_) | PerformanceChange::Terms(_) => &[],
    };
    let blocked = blocks.iter().cloned().map(Event::SeatsBlocked);
    blocked.chain(Event::of_change(change, before, after, act)).collect()
}

/// Blocks seats, if fans have none of them.
async fn block_all(conn: &mut AsyncPgConnection, id: PerformanceId, blocks: &[SeatBlock]) -> Result<(), ChangeError> {
    let mut in_use = 0;
    for block in blocks {
        in_use += claims::of_fans(conn, id, &block.slots).await?.len();
    }
    if in_use == 0 {
        for block in blocks {
            seat_blocks::insert_block(conn, block).await?;
            // A hold may have been placed since.
            in_use += claims::block(conn, block).await?.len();
        }
    }
    if in_use == 0 {
        return Ok(());
    }
    let seats = u32::try_from(in_use).unwrap_or(u32::MAX);
    Err(TxError::refused(ChangeRefusal::InUse { seats }))
}

/// The performance as a request left it.
fn first_answer(known: Remembered) -> QueryResult<Performance> {
    let answer = known.answer.unwrap_or_default();
    let record: PerformanceRecord =
        serde_json::from_value(answer).map_err(|error| corrupt("performance change answer", &error))?;
    record.read()
}

#[async_trait]
impl PerformanceChanges for PostgresPerformanceChanges {
    async fn change(
        &self,
        performance: PerformanceId,
        change: PerformanceChange,
        act: StaffAct,
    ) -> Result<Applied<Performance>, RequestError<ChangeRefusal>> {
        let attempt = || self.try_change(performance, &change, &act);
        self.database.transact("performance_changes.change", attempt).await
    }

    async fn find_changed(&self, request: RequestKey) -> Result<Option<Performance>, RequestError<Infallible>> {
        let find = || async {
            let conn = self.database.connection().await?;
            let known = requests::find(&conn, &[Operation::ChangePerformance], &request).await?;
            Ok(known.map(first_answer).transpose()?)
        };
        self.database.transact("performance_changes.find_changed", find).await
    }
}
