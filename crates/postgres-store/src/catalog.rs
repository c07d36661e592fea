use std::collections::HashMap;
use std::convert::Infallible;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
    VenueCursor, VenueFilter,
};
use encore_domain::catalog::performance_change::ChangeCursor;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::catalog::{Concert, OnSale, Performance, Venue};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::{Event, QueueOpening};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::Catalog;
use encore_domain::queue::{NoQueue, PatchRefusal, Queue, QueuePatch, QueueSettings};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::audit_log;
use crate::browse;
use crate::chart_rows::{self, ChartColumns};
use crate::codec::read_title;
use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::location_rows::LocationRow;
use crate::milestones;
use crate::outbox;
use crate::performance_rows::{self, ConcertRow, PerformanceRow};
use crate::queue_rows::{QueueDrawRow, QueueRow, read_queue};
use crate::requests::{self, Operation, Remembered};
use crate::schema::{concerts, performances, queues, venues};

/// [`Catalog`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresCatalog {
    database: Database,
}

impl PostgresCatalog {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_add_venue(
        &self,
        venue: &Venue,
        act: Option<&StaffAct>,
    ) -> Result<Applied<Venue>, TxError<RequestError<Infallible>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let (id, at) = (venue.id.0, venue.created_at);
            if let Some(known) = requests::remember(conn, Operation::AddVenue, request, id, Some(at)).await? {
                return Ok(Applied::Before(first_venue(conn, &known).await?));
            }
            let name = venue.name.as_str();
            let sorted = venues::name_key.eq(SortKey::of(name).as_str().to_owned());
            let words = venues::search_words.eq(venue.search_words().as_slice().to_vec());
            let location = venue.location.as_ref().map(LocationRow::from).unwrap_or_default();
            let columns = (location, sorted, words, ChartColumns::of(&venue.chart)?);
            let row = (venues::id.eq(id), venues::name.eq(name), venues::created_at.eq(at), columns);
            diesel::insert_into(venues::table).values(row).execute(conn).await?;
            chart_rows::insert(conn, id, &venue.chart).await?;
            audit_log::note(conn, act.map(|act| act.added_venue(venue))).await?;
            Ok(Applied::Now(venue.clone()))
        });
        adding.await
    }

    async fn try_add_concert(
        &self,
        concert: &Concert,
        act: Option<&StaffAct>,
    ) -> Result<Applied<Concert>, TxError<RequestError<Infallible>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let (id, at) = (concert.id.0, concert.created_at);
            if let Some(known) = requests::remember(conn, Operation::AddConcert, request, id, Some(at)).await? {
                let row = concerts::table.find(known.result_id).select(ConcertRow::as_select()).first(conn).await?;
                return Ok(Applied::Before(row.into_concert()?));
            }
            let words = concerts::search_words.eq(concert.search_words().as_slice().to_vec());
            let sorted = concerts::title_key.eq(SortKey::of(concert.title.as_str()).as_str().to_owned());
            let row = (ConcertRow::from(concert), words, sorted);
            diesel::insert_into(concerts::table).values(row).execute(conn).await?;
            audit_log::note(conn, act.map(|act| act.added_concert(concert))).await?;
            Ok(Applied::Now(concert.clone()))
        });
        adding.await
    }

    async fn try_add_performance(
        &self,
        performance: &Performance,
        queue: Option<&Queue>,
        act: Option<&StaffAct>,
    ) -> Result<Applied<Performance>, TxError<RequestError<Infallible>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let id = performance.id.0;
            if let Some(known) = requests::remember(conn, Operation::AddPerformance, request, id, None).await? {
                return Ok(Applied::Before(first_performance(conn, &known).await?));
            }
            insert_performance(conn, performance, queue).await?;
            audit_log::note(conn, act.map(|act| act.added_performance(performance, queue))).await?;
            let event = act.map(|act| Event::published(performance, queue, act));
            outbox::append(conn, event.as_slice()).await?;
            Ok(Applied::Now(performance.clone()))
        });
        adding.await
    }

    async fn try_patch_queue(
        &self,
        performance: PerformanceId,
        patch: &QueuePatch,
        act: Option<&StaffAct>,
    ) -> Result<Applied<QueueSettings>, TxError<RequestError<PatchRefusal>>> {
        let request = act.and_then(|act| act.request.as_ref());
        let mut conn = self.database.connection().await?;
        let patching = conn.transaction(async |conn| {
            let id = performance.0;
            if let Some(known) = requests::remember(conn, Operation::PatchQueue, request, id, None).await? {
                return Ok(Applied::Before(first_settings(known)?));
            }
            let queue = queues::table.find(id);
            let row: Option<QueueRow> =
                queue.select(QueueRow::as_select()).for_update().first(conn).await.optional()?;
            let before = row.ok_or_else(|| TxError::refused(NoQueue.into()))?.into_settings()?;
            let settings = before.clone().patched(patch).map_err(TxError::refused)?;
            let row = QueueRow::from(&settings);
            diesel::update(queue).set(&row).execute(conn).await?;
            audit_log::note(conn, act.map(|act| act.changed_queue(performance, &before, &settings))).await?;
            if let Some(request) = request {
                let answer = serde_json::to_value(&row).map_err(|error| corrupt("queue patch answer", &error))?;
                requests::keep_answer(conn, request, answer).await?;
            }
            if let Some(act) = act {
                outbox::append(conn, &Event::queue_changes(performance, &before, &settings, act)).await?;
            }
            Ok(Applied::Now(settings))
        });
        patching.await
    }
}

#[async_trait]
impl Catalog for PostgresCatalog {
    async fn add_venue(&self, venue: Venue, act: Option<StaffAct>) -> Result<Applied<Venue>, RequestError<Infallible>> {
        self.database.transact("catalog.add_venue", || self.try_add_venue(&venue, act.as_ref())).await
    }

    async fn add_concert(
        &self,
        concert: Concert,
        act: Option<StaffAct>,
    ) -> Result<Applied<Concert>, RequestError<Infallible>> {
        self.database.transact("catalog.add_concert", || self.try_add_concert(&concert, act.as_ref())).await
    }

    async fn add_performance(
        &self,
        performance: Performance,
        queue: Option<Queue>,
        act: Option<StaffAct>,
    ) -> Result<Applied<Performance>, RequestError<Infallible>> {
        let attempt = || self.try_add_performance(&performance, queue.as_ref(), act.as_ref());
        self.database.transact("catalog.add_performance", attempt).await
    }

    async fn patch_queue(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        act: Option<StaffAct>,
    ) -> Result<Applied<QueueSettings>, RequestError<PatchRefusal>> {
        let attempt = || self.try_patch_queue(performance, &patch, act.as_ref());
        self.database.transact("catalog.patch_queue", attempt).await
    }

    async fn note_opening(&self, opening: QueueOpening) -> Result<bool, Unavailable> {
        let attempt = || milestones::try_note_opening(&self.database, opening);
        self.database.transact("catalog.note_opening", attempt).await
    }

    async fn note_cancellation(
        &self,
        performance: PerformanceId,
        reason: OperatorReason,
        act: StaffAct,
    ) -> Result<bool, Unavailable> {
        let attempt = || milestones::try_note_cancellation(&self.database, performance, &reason, &act);
        self.database.transact("catalog.note_cancellation", attempt).await
    }

    async fn find_added_venue(&self, request: RequestKey) -> Result<Option<Venue>, RequestError<Infallible>> {
        let find = || async {
            let mut conn = self.database.connection().await?;
            match requests::find(&conn, &[Operation::AddVenue], &request).await? {
                Some(known) => Ok(Some(first_venue(&mut conn, &known).await?)),
                None => Ok(None),
            }
        };
        self.database.transact("catalog.find_added_venue", find).await
    }

    async fn find_added_performance(
        &self,
        request: RequestKey,
    ) -> Result<Option<Performance>, RequestError<Infallible>> {
        let find = || async {
            let mut conn = self.database.connection().await?;
            match requests::find(&conn, &[Operation::AddPerformance], &request).await? {
                Some(known) => Ok(Some(first_performance(&mut conn, &known).await?)),
                None => Ok(None),
            }
        };
        self.database.transact("catalog.find_added_performance", find).await
    }

    async fn find_patched(&self, request: RequestKey) -> Result<Option<QueueSettings>, RequestError<Infallible>> {
        let find = || async {
            let conn = self.database.connection().await?;
            let known = requests::find(&conn, &[Operation::PatchQueue], &request).await?;
            Ok(known.map(first_settings).transpose()?)
        };
        self.database.transact("catalog.find_patched", find).await
    }

    async fn venue(&self, id: VenueId) -> Result<Option<Venue>, Unavailable> {
        let mut conn = self.database.connection().await?;
        load_venue(&mut conn, id.0).await.map_err(unavailable)
    }

    async fn listed_venue(&self, id: VenueId) -> Result<Option<ListedVenue>, Unavailable> {
        let mut conn = self.database.connection().await?;
        browse::venue(&mut conn, id).await.map_err(unavailable)
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, Unavailable> {
        Ok(self.concerts_by_id(&[id]).await?.pop())
    }

    async fn concerts_by_id(&self, ids: &[ConcertId]) -> Result<Vec<Concert>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let query = concerts::table.filter(concerts::id.eq_any(ids)).select(ConcertRow::as_select());
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        read_concerts(rows)
    }

    async fn concerts(
        &self,
        filter: &ConcertFilter,
        order: ConcertOrder,
        page: PageRequest<ConcertCursor>,
    ) -> Result<Page<Concert, ConcertCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        browse::concerts(&mut conn, filter, order, page).await.map_err(unavailable)
    }

    async fn venues(
        &self,
        filter: &VenueFilter,
        page: PageRequest<VenueCursor>,
    ) -> Result<Page<ListedVenue, VenueCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        browse::venues(&mut conn, filter, page).await.map_err(unavailable)
    }

    async fn performance(&self, id: PerformanceId) -> Result<Option<Performance>, Unavailable> {
        Ok(self.performances_by_id(&[id]).await?.pop())
    }

    async fn performances_by_id(&self, ids: &[PerformanceId]) -> Result<Vec<Performance>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let query = performances::table.filter(performances::id.eq_any(ids)).select(PerformanceRow::as_select());
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        read_performances(rows)
    }

    async fn changed_performances(
        &self,
        since: Timestamp,
        page: PageRequest<ChangeCursor>,
    ) -> Result<Page<Performance, ChangeCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let changed = performance_rows::changed(&mut conn, since, page.after, page.size + 1).await;
        let changed = Page::from_rows(changed.map_err(unavailable)?, page.size, |cursor| *cursor);
        let ids: Vec<PerformanceId> = changed.items.iter().map(|(_, id)| *id).collect();
        drop(conn);
        let found = self.performances_by_id(&ids).await?.into_iter().map(|performance| (performance.id, performance));
        let mut found: HashMap<PerformanceId, Performance> = found.collect();
        Ok(Page { items: ids.into_iter().filter_map(|id| found.remove(&id)).collect(), next: changed.next })
    }

    async fn performances(
        &self,
        filter: &PerformanceFilter,
        order: PerformanceOrder,
        page: PageRequest<PerformanceCursor>,
    ) -> Result<Page<Performance, PerformanceCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        browse::performances(&mut conn, filter, order, page).await.map_err(unavailable)
    }

    async fn queue(&self, performance: PerformanceId) -> Result<Option<Queue>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = queues::table.find(performance.0).select((QueueRow::as_select(), QueueDrawRow::as_select()));
        let parts = query.first(&mut conn).await.optional().map_err(unavailable)?;
        parts.map(read_queue).transpose().map_err(unavailable)
    }

    async fn on_sale(&self, now: Timestamp) -> Result<Vec<OnSale>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let open = performances::opens_at.nullable().le(now);
        let rows: Vec<(Uuid, DateTime<Utc>, Option<(QueueRow, QueueDrawRow)>)> = performances::table
            .left_join(queues::table)
            .filter(performances::closes_at.gt(now))
            .filter(performances::withdrawn_at.is_null())
            .filter(open.or(queues::pre_queue_opens_at.le(now)))
            .select((performances::id, performances::opens_at, Option::<(QueueRow, QueueDrawRow)>::as_select()))
            .load(&mut conn)
            .await
            .map_err(unavailable)?;
        let read = |(id, opens_at, queue): (Uuid, DateTime<Utc>, Option<(QueueRow, QueueDrawRow)>)| {
            Ok(OnSale { performance: PerformanceId(id), opens_at, queue: queue.map(read_queue).transpose()? })
        };
        rows.into_iter().map(read).collect::<QueryResult<_>>().map_err(unavailable)
    }
}

/// Adds a performance with its queue, if it has one.
pub async fn insert_performance(
    conn: &mut AsyncPgConnection,
    performance: &Performance,
    queue: Option<&Queue>,
) -> QueryResult<()> {
    diesel::insert_into(performances::table).values(PerformanceRow::from(performance)).execute(conn).await?;
    if let Some(queue) = queue {
        let id = queues::performance_id.eq(performance.id.0);
        let row = (id, QueueRow::from(&queue.settings), QueueDrawRow::from(queue.draw));
        diesel::insert_into(queues::table).values(row).execute(conn).await?;
    }
    Ok(())
}

/// The venue that a request added.
async fn first_venue(conn: &mut AsyncPgConnection, known: &Remembered) -> QueryResult<Venue> {
    load_venue(conn, known.result_id).await?.ok_or(diesel::result::Error::NotFound)
}

/// The performance that a request added.
async fn first_performance(conn: &mut AsyncPgConnection, known: &Remembered) -> QueryResult<Performance> {
    let query = performances::table.find(known.result_id).select(PerformanceRow::as_select());
    query.first(conn).await?.into_performance()
}

/// The settings of a queue as a request left them.
fn first_settings(known: Remembered) -> QueryResult<QueueSettings> {
    let answer = known.answer.unwrap_or_default();
    let row: QueueRow = serde_json::from_value(answer).map_err(|error| corrupt("queue patch answer", &error))?;
    row.into_settings()
}

async fn load_venue(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Venue>> {
    type Row = (String, DateTime<Utc>, LocationRow, ChartColumns);
    let columns = (venues::name, venues::created_at, LocationRow::as_select(), ChartColumns::as_select());
    let query = venues::table.find(id).select(columns);
    let row: Option<Row> = query.first(conn).await.optional()?;
    let Some((name, created_at, location, columns)) = row else {
        return Ok(None);
    };
    let location = location.into_location()?;
    let chart = chart_rows::load(conn, id, columns).await?;
    Ok(Some(Venue { id: VenueId(id), name: read_title(&name)?, location, chart, created_at }))
}

fn read_concerts(rows: Vec<ConcertRow>) -> Result<Vec<Concert>, Unavailable> {
    rows.into_iter().map(ConcertRow::into_concert).collect::<QueryResult<_>>().map_err(unavailable)
}

fn read_performances(rows: Vec<PerformanceRow>) -> Result<Vec<Performance>, Unavailable> {
    rows.into_iter().map(PerformanceRow::into_performance).collect::<QueryResult<_>>().map_err(unavailable)
}
