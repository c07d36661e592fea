use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal};
use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationFilter, ReservationState, SoldSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{PlaceRefusal, Reservations};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::batcher::{BATCH_MAX, Batched, Batcher, READ_BATCH_MAX, Spoiled};
use crate::codec::{comparable_time, state_text};
use crate::database::Database;
use crate::error::{TxError, to_each, unavailable};
use crate::leaving::{LeaveAnswer, Leaving, leave_all};
use crate::placing::{self, PlaceAnswer, Placement, Reused, place_all};
use crate::reservation_rows::{self, ReservationRow};
use crate::schema::reservations;
use crate::statement::{Cached, sql};
use crate::{claims, hold_changes, outbox};

/// [`Reservations`] on Postgres. Placing holds, finding reservations and leaving are batched.
#[derive(Clone, Debug)]
pub struct PostgresReservations {
    database: Database,
    placing: Batcher<Placement, PlaceAnswer>,
    finding: Batcher<ReservationId, FindAnswer>,
    finding_placed: Batcher<RequestKey, FindPlacedAnswer>,
    leaving: Batcher<Leaving, LeaveAnswer>,
}

/// The result of looking up a reservation.
type FindAnswer = Result<Option<Reservation>, Unavailable>;

/// The result of looking up the hold that a request placed.
type FindPlacedAnswer = Result<Option<Reservation>, RequestError<Infallible>>;

impl PostgresReservations {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        let (placing, leaving) = (database.clone(), database.clone());
        let (finding, finding_placed) = (database.clone(), database.clone());
        Self {
            database,
            placing: Batcher::new("place", BATCH_MAX, move |placements: Arc<[Placement]>| {
                let database = placing.clone();
                Box::pin(async move { place_all(&database, &placements).await })
            }),
            finding: Batcher::new("find_reservation", READ_BATCH_MAX, move |ids: Arc<[ReservationId]>| {
                let database = finding.clone();
                Box::pin(async move { find_all(&database, &ids).await })
            }),
            finding_placed: Batcher::new("find_placed", READ_BATCH_MAX, move |keys: Arc<[RequestKey]>| {
                let database = finding_placed.clone();
                Box::pin(async move { find_all_placed(&database, &keys).await })
            }),
            leaving: Batcher::new("leave", BATCH_MAX, move |fans: Arc<[Leaving]>| {
                let database = leaving.clone();
                Box::pin(async move { leave_all(&database, &fans).await })
            }),
        }
    }

    async fn try_expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let expiring = conn.transaction(async |conn| {
            let rows = expire_rows(conn, now, limit).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let mut expired = reservation_rows::with_seats(conn, rows).await?;
            expired.sort_by_key(|reservation| (reservation.expires_at, reservation.id));
            let ids: Vec<Uuid> = expired.iter().map(|reservation| reservation.id.0).collect();
            claims::delete(conn, &ids).await?;
            let events: Vec<Event> = expired.iter().cloned().map(Event::HoldExpired).collect();
            outbox::append(conn, &events).await?;
            Ok(expired)
        });
        expiring.await
    }
}

#[async_trait]
impl Reservations for PostgresReservations {
    async fn place(
        &self,
        hold: Reservation,
        seats_per_fan: u32,
        token: Option<QueueTokenPayload>,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<PlaceRefusal>> {
        self.placing.submit(Placement { hold, seats_per_fan, token, request }).await?
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>> {
        self.finding_placed.submit(request).await?
    }

    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        let attempt = || hold_changes::release(&self.database, id, now, request.as_ref());
        self.database.transact("reservations.release", attempt).await
    }

    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        let attempt = || hold_changes::release_seats(&self.database, id, slots, now, request.as_ref());
        self.database.transact("reservations.release_seats", attempt).await
    }

    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<ExtendRefusal>> {
        let attempt = || hold_changes::extend(&self.database, id, extension, now, &request);
        self.database.transact("reservations.extend", attempt).await
    }

    async fn find_changed(&self, request: RequestKey) -> Result<Option<Reservation>, RequestError<Infallible>> {
        let attempt = || hold_changes::find_changed(&self.database, &request);
        self.database.transact("reservations.find_changed", attempt).await
    }

    async fn leave(&self, token: QueueTokenPayload, now: Timestamp) -> Result<Vec<Reservation>, Unavailable> {
        self.leaving.submit(Leaving { token, at: now }).await?
    }

    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable> {
        self.database.transact("reservations.expire_due", || self.try_expire_due(now, limit)).await
    }

    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable> {
        self.finding.submit(id).await?
    }

    async fn list(
        &self,
        user: UserId,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = reservations::table.filter(reservations::user_id.eq(user.0));
        let mut query = of_user.select(ReservationRow::as_select()).into_boxed();
        if let Some((held_at, id)) = page.after {
            let held_at = comparable_time(held_at);
            let earlier = reservations::held_at.lt(held_at);
            query = query.filter(earlier.or(reservations::held_at.eq(held_at).and(reservations::id.lt(id.0))));
        }
        if !filter.states.is_empty() {
            query = query.filter(in_states(filter));
        }
        let query =
            query.order((reservations::held_at.desc(), reservations::id.desc())).limit(i64::from(page.size) + 1);
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        let found = reservation_rows::with_seats(&conn, rows).await.map_err(unavailable)?;
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
    }

    async fn owned(&self, performance: PerformanceId, user: UserId) -> Result<u32, Unavailable> {
        let conn = self.database.connection().await?;
        let owned = claims::owned(&conn, performance, user).await.map_err(unavailable)?;
        Ok(u32::try_from(owned).unwrap_or(u32::MAX))
    }

    async fn sold_seats(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<SoldSeat, Slot>, Unavailable> {
        let conn = self.database.connection().await?;
        let sold = claims::sold(&conn, performance, page.after, page.size + 1).await.map_err(unavailable)?;
        Ok(Page::from_rows(sold, page.size, |seat| seat.slot))
    }

    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable> {
        let mut conn = self.database.connection().await?;
        claims::load(&mut conn, performance, None).await.map_err(unavailable)
    }

    async fn claims_on(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<Claim>, Unavailable> {
        let mut conn = self.database.connection().await?;
        claims::load(&mut conn, performance, Some(slots)).await.map_err(unavailable)
    }
}

/// Whether a row is in one of these states at that moment.
pub fn in_states(
    filter: &ReservationFilter,
) -> Box<dyn BoxableExpression<reservations::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>> {
    let held = state_text(ReservationState::Held);
    let other = |state: &&ReservationState| **state != ReservationState::Held;
    let states: Vec<&str> = filter.states.iter().filter(other).map(|state| state_text(*state)).collect();
    let is_held = reservations::state.eq(held);
    let wants = |state| filter.states.contains(&state).into_sql::<diesel::sql_types::Bool>();
    let now = comparable_time(filter.now);
    let live = is_held.and(reservations::expires_at.gt(now)).and(wants(ReservationState::Held));
    let due = is_held.and(reservations::expires_at.le(now)).and(wants(ReservationState::Expired));
    // Postgres has an operator for addresses of the same name.
    let either = BoolExpressionMethods::or(live, due);
    Box::new(BoolExpressionMethods::or(reservations::state.eq_any(states), either))
}

impl Batched for ReservationId {
    /// Looking a reservation up twice does no harm.
    fn key(&self) -> Option<(Uuid, Uuid)> {
        None
    }
}

/// The reservations with these ids, in this order.
async fn find_all(database: &Database, ids: &[ReservationId]) -> Result<Vec<FindAnswer>, Spoiled> {
    let finding = async || {
        let conn = database.connection().await?;
        reservation_rows::find_all(&conn, ids).await.map_err(unavailable)
    };
    match finding().await {
        Ok(found) => Ok(ids.iter().map(|id| Ok(found.get(id).cloned())).collect()),
        Err(unavailable) => to_each(unavailable, ids.len()),
    }
}

/// The holds that these requests placed, in this order.
async fn find_all_placed(database: &Database, keys: &[RequestKey]) -> Result<Vec<FindPlacedAnswer>, Spoiled> {
    let finding = async || {
        let conn = database.connection().await?;
        placing::find_placed(&conn, keys).await.map_err(unavailable)
    };
    match finding().await {
        Ok(found) => Ok(found.into_iter().map(|found| found.map_err(|Reused| RequestError::Reused)).collect()),
        Err(unavailable) => to_each(unavailable, keys.len()),
    }
}

/// Ends holds whose deadline has passed. Skips those that a concurrent transaction has locked.
async fn expire_rows(conn: &mut AsyncPgConnection, now: Timestamp, limit: u32) -> QueryResult<Vec<ReservationRow>> {
    const EXPIRE: &str = "
        WITH due AS (
            SELECT id FROM reservations
            WHERE state = 'held' AND expires_at <= $1
            ORDER BY expires_at, id
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        UPDATE reservations SET state = 'expired', settled_at = $1
        FROM due WHERE reservations.id = due.id
        RETURNING reservations.*";
    let query = sql(EXPIRE).bind::<Timestamptz, _>(now).bind::<BigInt, _>(i64::from(limit));
    Cached(query).load(conn).await
}
