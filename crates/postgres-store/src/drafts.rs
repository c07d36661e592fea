use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::catalog::draft::{Draft, DraftRefusal, DraftState};
use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::PerformanceId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Drafts;
use encore_domain::queue::QueueDraw;
use encore_domain::request::{Applied, RequestKey};
use uuid::Uuid;

use crate::audit_log;
use crate::catalog::insert_performance;
use crate::database::Database;
use crate::draft_rows::DraftRow;
use crate::error::{TxError, unavailable};
use crate::outbox;
use crate::requests::{self, Operation};
use crate::schema::performance_drafts as drafts;

/// [`Drafts`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresDrafts {
    database: Database,
}

impl PostgresDrafts {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_add(
        &self,
        draft: &Draft,
        act: &StaffAct,
    ) -> Result<Applied<Draft>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let (id, operation) = (draft.performance.id.0, Operation::AddDraft);
            let known = requests::remember(conn, operation, act.request.as_ref(), id, Some(act.at)).await?;
            if let Some(known) = known {
                let first = find(conn, known.result_id).await?.ok_or(diesel::result::Error::NotFound)?;
                return Ok(Applied::Before(first));
            }
            diesel::insert_into(drafts::table).values(DraftRow::of(draft)?).execute(conn).await?;
            audit_log::note(conn, Some(act.added_draft(draft))).await?;
            Ok(Applied::Now(draft.clone()))
        });
        adding.await
    }

    async fn try_change(&self, draft: &Draft, act: &StaffAct) -> Result<(), TxError<PortError<DraftRefusal>>> {
        let mut conn = self.database.connection().await?;
        let changing = conn.transaction(async |conn| {
            let before = lock_open(conn, draft.performance.id).await?;
            if before == *draft {
                return Ok(());
            }
            let row = drafts::table.find(draft.performance.id.0);
            diesel::update(row).set(DraftRow::of(draft)?).execute(conn).await?;
            audit_log::note(conn, Some(act.changed_draft(&before, draft))).await?;
            Ok(())
        });
        changing.await
    }

    async fn try_publish(
        &self,
        looked_at: &Draft,
        draw: Option<QueueDraw>,
        act: &StaffAct,
    ) -> Result<(), TxError<PortError<DraftRefusal>>> {
        let mut conn = self.database.connection().await?;
        let publishing = conn.transaction(async |conn| {
            let stored = lock_open(conn, looked_at.performance.id).await?;
            if stored != *looked_at {
                return Err(refused(DraftRefusal::Changed));
            }
            let queue = stored.queue.as_ref().map(|queue| queue.queue(draw));
            insert_performance(conn, &stored.performance, queue.as_ref()).await?;
            set_state(conn, stored.performance.id, DraftState::Published).await?;
            audit_log::note(conn, Some(act.published(&stored.performance, queue.as_ref()))).await?;
            outbox::append(conn, &[Event::published(&stored.performance, queue.as_ref(), act)]).await?;
            Ok(())
        });
        publishing.await
    }

    async fn try_withdraw(&self, id: PerformanceId, act: &StaffAct) -> Result<(), TxError<PortError<DraftRefusal>>> {
        let mut conn = self.database.connection().await?;
        let withdrawing = conn.transaction(async |conn| {
            let stored = lock_open(conn, id).await?;
            set_state(conn, id, DraftState::Withdrawn).await?;
            audit_log::note(conn, Some(act.withdrew(&stored))).await?;
            Ok(())
        });
        withdrawing.await
    }
}

fn refused(refusal: DraftRefusal) -> TxError<PortError<DraftRefusal>> {
    TxError::Port(PortError::Refused(refusal))
}

async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Draft>> {
    let row: Option<DraftRow> = drafts::table.find(id).select(DraftRow::as_select()).first(conn).await.optional()?;
    row.map(DraftRow::into_draft).transpose()
}

/// The open draft of this id, locked until the transaction ends.
async fn lock_open(conn: &mut AsyncPgConnection, id: PerformanceId) -> Result<Draft, TxError<PortError<DraftRefusal>>> {
    let query = drafts::table.find(id.0).select(DraftRow::as_select()).for_update();
    let row: Option<DraftRow> = query.first(conn).await.optional()?;
    let draft = row.ok_or_else(|| refused(DraftRefusal::Unknown(id)))?.into_draft()?;
    draft.check_open().map_err(refused)?;
    Ok(draft)
}

async fn set_state(conn: &mut AsyncPgConnection, id: PerformanceId, state: DraftState) -> QueryResult<()> {
    diesel::update(drafts::table.find(id.0)).set(drafts::state.eq(state.name())).execute(conn).await?;
    Ok(())
}

#[async_trait]
impl Drafts for PostgresDrafts {
    async fn add(&self, draft: Draft, act: StaffAct) -> Result<Applied<Draft>, RequestError<Infallible>> {
        self.database.transact("drafts.add", || self.try_add(&draft, &act)).await
    }

    async fn find_added(&self, request: RequestKey) -> Result<Option<Draft>, RequestError<Infallible>> {
        let find = || async {
            let mut conn = self.database.connection().await?;
            match requests::find(&conn, &[Operation::AddDraft], &request).await? {
                Some(known) => Ok(find(&mut conn, known.result_id).await?),
                None => Ok(None),
            }
        };
        self.database.transact("drafts.find_added", find).await
    }

    async fn find(&self, id: PerformanceId) -> Result<Option<Draft>, Unavailable> {
        let mut conn = self.database.connection().await?;
        find(&mut conn, id.0).await.map_err(unavailable)
    }

    async fn open(&self, page: PageRequest<PerformanceId>) -> Result<Page<Draft, PerformanceId>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let open = drafts::table.filter(drafts::state.eq(DraftState::Open.name()));
        let mut query = open.select(DraftRow::as_select()).into_boxed();
        if let Some(after) = page.after {
            query = query.filter(drafts::id.gt(after.0));
        }
        let query = query.order(drafts::id).limit(i64::from(page.size) + 1);
        let rows: Vec<DraftRow> = query.load(&mut conn).await.map_err(unavailable)?;
        let drafts = rows.into_iter().map(DraftRow::into_draft).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(drafts, page.size, |draft: &Draft| draft.performance.id))
    }

    async fn change(&self, draft: Draft, act: StaffAct) -> Result<(), PortError<DraftRefusal>> {
        self.database.transact("drafts.change", || self.try_change(&draft, &act)).await
    }

    async fn publish(
        &self,
        looked_at: &Draft,
        draw: Option<QueueDraw>,
        act: StaffAct,
    ) -> Result<(), PortError<DraftRefusal>> {
        self.database.transact("drafts.publish", || self.try_publish(looked_at, draw, &act)).await
    }

    async fn withdraw(&self, id: PerformanceId, act: StaffAct) -> Result<(), PortError<DraftRefusal>> {
        self.database.transact("drafts.withdraw", || self.try_withdraw(id, &act)).await
    }
}
