use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationState};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{PlaceRefusal, ReleaseRefusal, Reservations};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::seat_chart::Slot;
use encore_domain::time::Timestamp;
use futures::{TryFutureExt, try_join};
use uuid::Uuid;

use crate::claims::Standing;
use crate::database::Database;
use crate::error::{TxError, never_refused, unavailable};
use crate::locks::lock_fan;
use crate::requests::{self, Operation};
use crate::reservation_rows::{self, ReservationRow};
use crate::schema::reservations;
use crate::statement::{Cached, sql};
use crate::{claims, outbox};

/// Keeps reservations and the claims on seats.
#[derive(Clone, Debug)]
pub struct PostgresReservations {
    database: Database,
}

impl PostgresReservations {
    /// Over a database that has its schema.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_place(
        &self,
        hold: &Reservation,
        seats_per_fan: u32,
        request: &RequestKey,
    ) -> Result<Applied<Reservation>, TxError<PlaceRefusal>> {
        let mut conn = self.database.connection().await?;
        let placing = conn.transaction(async |conn| {
            let (id, at) = (hold.id.0, hold.held_at);
            let (known, (), standing) = try_join!(
                requests::remember(conn, Operation::PlaceHold, Some(request), id, Some(at)),
                lock_fan(conn, hold.user, hold.performance).err_into(),
                claims::standing(conn, hold).err_into(),
            )?;
            if let Some(known) = known {
                let first = reservation_rows::find(conn, known.result_id).await?;
                let first = first.ok_or(diesel::result::Error::NotFound)?;
                return Ok(Applied::Before(first.as_placed()));
            }
            check_place(&standing, hold, seats_per_fan).map_err(TxError::refused)?;
            let event = [Event::HoldPlaced(hold.clone())];
            let (lost, ()) = try_join!(claims::insert_hold(conn, hold), outbox::append(conn, &event))?;
            if !lost.is_empty() {
                return Err(TxError::refused(PlaceRefusal::SeatsTaken { slots: lost }));
            }
            Ok(Applied::Now(hold.clone()))
        });
        placing.await
    }

    async fn try_find_placed(&self, request: &RequestKey) -> Result<Option<Reservation>, TxError<Infallible>> {
        let conn = self.database.connection().await?;
        let Some(known) = requests::find(&conn, Operation::PlaceHold, request).await? else {
            return Ok(None);
        };
        let placed = reservation_rows::find(&conn, known.result_id).await?;
        Ok(placed.map(Reservation::as_placed))
    }

    async fn try_release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<&RequestKey>,
    ) -> Result<Applied<Reservation>, TxError<ReleaseRefusal>> {
        let mut conn = self.database.connection().await?;
        let releasing = conn.transaction(async |conn| {
            if let Some(known) = requests::remember(conn, Operation::ReleaseHold, request, id.0, Some(now)).await? {
                let released = reservation_rows::find(conn, known.result_id).await?;
                return Ok(Applied::Before(released.ok_or(diesel::result::Error::NotFound)?));
            }
            let reservation = reservation_rows::lock(conn, id.0).await?;
            let state = reservation.state_at(now);
            if state != ReservationState::Held {
                return Err(TxError::refused(ReleaseRefusal::NotHeld { state }));
            }
            let released = Reservation { state: ReservationState::Released, settled_at: Some(now), ..reservation };
            reservation_rows::settle(conn, &released).await?;
            claims::delete(conn, &[id.0]).await?;
            outbox::append(conn, &[Event::HoldReleased(released.clone())]).await?;
            Ok(Applied::Now(released))
        });
        releasing.await
    }

    async fn try_expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, TxError<Infallible>> {
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
        request: RequestKey,
    ) -> Result<Applied<Reservation>, PortError<PlaceRefusal>> {
        let attempt = || self.try_place(&hold, seats_per_fan, &request);
        self.database.transact("reservations.place", attempt).await
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>> {
        self.database.transact("reservations.find_placed", || self.try_find_placed(&request)).await
    }

    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, PortError<ReleaseRefusal>> {
        let attempt = || self.try_release(id, now, request.as_ref());
        self.database.transact("reservations.release", attempt).await
    }

    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable> {
        let expired = self.database.transact("reservations.expire_due", || self.try_expire_due(now, limit)).await;
        expired.map_err(never_refused)
    }

    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable> {
        let conn = self.database.connection().await?;
        reservation_rows::find(&conn, id.0).await.map_err(unavailable)
    }

    async fn list(
        &self,
        user: UserId,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = reservations::table.filter(reservations::user_id.eq(user.0));
        let mut query = of_user.select(ReservationRow::as_select()).into_boxed();
        if let Some((held_at, id)) = page.after {
            let earlier = reservations::held_at.lt(held_at);
            query = query.filter(earlier.or(reservations::held_at.eq(held_at).and(reservations::id.lt(id.0))));
        }
        let query =
            query.order((reservations::held_at.desc(), reservations::id.desc())).limit(i64::from(page.size) + 1);
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        let found = reservation_rows::with_seats(&conn, rows).await.map_err(unavailable)?;
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
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

/// The rule of a hold against what is there: its seats are free, and the fan stays within the limit.
fn check_place(standing: &Standing, hold: &Reservation, limit: u32) -> Result<(), PlaceRefusal> {
    let slots = standing.taken();
    if !slots.is_empty() {
        return Err(PlaceRefusal::SeatsTaken { slots });
    }
    let owned = u32::try_from(standing.owned).unwrap_or(u32::MAX);
    let wanted = u32::try_from(hold.seats.len()).unwrap_or(u32::MAX);
    if owned.saturating_add(wanted) > limit { Err(PlaceRefusal::OverLimit { limit, owned }) } else { Ok(()) }
}

/// Ends the holds that are due and that no other transaction is about to settle.
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
