use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::booking::seat_block::{
    BlockReason, BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal,
};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{BlockId, PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::SeatBlocks;
use encore_domain::request::Applied;
use futures::try_join;
use uuid::Uuid;

use crate::codec::comparable_slot;
use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::requests::{self, Operation};
use crate::schema::{claims as claim_rows, seat_blocks};
use crate::{audit_log, claims, outbox};

/// [`SeatBlocks`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSeatBlocks {
    database: Database,
}

impl PostgresSeatBlocks {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Reads the claims before any is inserted, so that a block that is refused waits for no transaction of a fan.
    async fn try_block(
        &self,
        block: &SeatBlock,
        act: Option<&StaffAct>,
    ) -> Result<Applied<SeatBlock>, TxError<RequestError<BlockRefusal>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let blocking = conn.transaction(async |conn| {
            let known = requests::remember(conn, Operation::BlockSeats, request, block.id.0, Some(block.at)).await?;
            if let Some(known) = known {
                return Ok(Applied::Before(find(conn, known.result_id).await?.into_block()?));
            }
            let of_fans = claims::of_fans(conn, block.performance, &block.slots).await?;
            if !of_fans.is_empty() {
                return Err(TxError::refused(BlockRefusal::SeatsTaken { slots: of_fans }));
            }
            insert(conn, &BlockRow::of_block(block)).await?;
            audit_log::note(conn, act.map(|act| act.blocked_seats(block))).await?;
            let event = [Event::SeatsBlocked(block.clone())];
            let (slots, ()) = try_join!(claims::block(conn, block), outbox::append(conn, &event))?;
            if slots.is_empty() {
                Ok(Applied::Now(block.clone()))
            } else {
                Err(TxError::refused(BlockRefusal::SeatsTaken { slots }))
            }
        });
        blocking.await
    }

    async fn try_unblock(
        &self,
        unblock: &SeatUnblock,
        act: Option<&StaffAct>,
    ) -> Result<Applied<SeatUnblock>, TxError<RequestError<UnblockRefusal>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let unblocking = conn.transaction(async |conn| {
            let known =
                requests::remember(conn, Operation::UnblockSeats, request, unblock.id.0, Some(unblock.at)).await?;
            if let Some(known) = known {
                return Ok(Applied::Before(find(conn, known.result_id).await?.into_unblock()));
            }
            insert(conn, &BlockRow::of_unblock(unblock)).await?;
            audit_log::note(conn, act.map(|act| act.unblocked_seats(unblock))).await?;
            let event = [Event::SeatsUnblocked(unblock.clone())];
            let freeing = claims::unblock(conn, unblock.performance, &unblock.slots);
            let (slots, ()) = try_join!(freeing, outbox::append(conn, &event))?;
            if slots.is_empty() {
                Ok(Applied::Now(unblock.clone()))
            } else {
                Err(TxError::refused(UnblockRefusal::NotBlocked { slots }))
            }
        });
        unblocking.await
    }
}

#[async_trait]
impl SeatBlocks for PostgresSeatBlocks {
    async fn block(
        &self,
        block: SeatBlock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatBlock>, RequestError<BlockRefusal>> {
        self.database.transact("seat_blocks.block", || self.try_block(&block, act.as_ref())).await
    }

    async fn unblock(
        &self,
        unblock: SeatUnblock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatUnblock>, RequestError<UnblockRefusal>> {
        self.database.transact("seat_blocks.unblock", || self.try_unblock(&unblock, act.as_ref())).await
    }

    async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<BlockedSeat, Slot>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut query = claim_rows::table
            .inner_join(seat_blocks::table)
            .filter(claim_rows::performance_id.eq(performance.0))
            .order(claim_rows::slot)
            .limit(i64::from(page.size) + 1)
            .select((
                claim_rows::slot,
                seat_blocks::id,
                seat_blocks::reason.assume_not_null(),
                seat_blocks::operator_id,
                seat_blocks::made_at,
            ))
            .into_boxed();
        if let Some(after) = page.after {
            query = query.filter(claim_rows::slot.gt(comparable_slot(after)));
        }
        let rows: Vec<BlockedRow> = query.load(&mut conn).await.map_err(unavailable)?;
        let blocked = rows.into_iter().map(read_blocked).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(blocked, page.size, |seat: &BlockedSeat| seat.slot))
    }
}

/// The slot, the block, its reason, its operator, its time.
type BlockedRow = (i32, Uuid, String, Uuid, DateTime<Utc>);

fn read_blocked((slot, block, reason, operator, at): BlockedRow) -> QueryResult<BlockedSeat> {
    let (slot, block, operator) = (Slot(slot.cast_unsigned()), BlockId(block), UserId(operator));
    Ok(BlockedSeat { slot, block, reason: read_reason(&reason)?, operator, at })
}

/// Writes a block. The caller writes its claims, and then its event.
pub async fn insert_block(conn: &AsyncPgConnection, block: &SeatBlock) -> QueryResult<()> {
    insert(conn, &BlockRow::of_block(block)).await
}

fn read_reason(text: &str) -> QueryResult<BlockReason> {
    BlockReason::parse(text).map_err(|_| corrupt("reason of a block", text))
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = seat_blocks)]
struct BlockRow {
    id: Uuid,
    performance_id: Uuid,
    operator_id: Uuid,
    reason: Option<String>,
    slots: Vec<i32>,
    made_at: DateTime<Utc>,
}

async fn insert(conn: &AsyncPgConnection, row: &BlockRow) -> QueryResult<()> {
    diesel::insert_into(seat_blocks::table).values(row).execute(&mut &*conn).await?;
    Ok(())
}

async fn find(conn: &AsyncPgConnection, id: Uuid) -> QueryResult<BlockRow> {
    seat_blocks::table.find(id).select(BlockRow::as_select()).first(&mut &*conn).await
}

impl BlockRow {
    fn of_block(block: &SeatBlock) -> Self {
        let SeatBlock { id, performance, operator, reason, slots, at } = block;
        let reason = Some(reason.as_str().to_owned());
        let (id, performance_id, operator_id) = (id.0, performance.0, operator.0);
        Self { id, performance_id, operator_id, reason, slots: signed(slots), made_at: *at }
    }

    fn of_unblock(unblock: &SeatUnblock) -> Self {
        let SeatUnblock { id, performance, operator, slots, at } = unblock;
        let (id, performance_id, operator_id) = (id.0, performance.0, operator.0);
        Self { id, performance_id, operator_id, reason: None, slots: signed(slots), made_at: *at }
    }

    fn into_block(self) -> QueryResult<SeatBlock> {
        let reason = read_reason(self.reason.as_deref().unwrap_or_default())?;
        let SeatUnblock { id, performance, operator, slots, at } = self.into_unblock();
        Ok(SeatBlock { id, performance, operator, reason, slots, at })
    }

    fn into_unblock(self) -> SeatUnblock {
        SeatUnblock {
            id: BlockId(self.id),
            performance: PerformanceId(self.performance_id),
            operator: UserId(self.operator_id),
            slots: self.slots.into_iter().map(|slot| Slot(slot.cast_unsigned())).collect(),
            at: self.made_at,
        }
    }
}

fn signed(slots: &[Slot]) -> Vec<i32> {
    slots.iter().map(|slot| slot.0.cast_signed()).collect()
}
