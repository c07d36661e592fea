//! Changes of live holds by their fans. Each locks the reservation, decides, and writes the result.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal, give_back};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::ids::ReservationId;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use futures::try_join;

use crate::database::Database;
use crate::error::TxError;
use crate::hold_record::{as_recorded, record};
use crate::requests::{self, Operation, Remembered};
use crate::{claims, outbox, reservation_rows};

/// Gives back all seats of a hold.
pub async fn release(
    database: &Database,
    id: ReservationId,
    now: Timestamp,
    request: Option<&RequestKey>,
) -> Result<Applied<Reservation>, TxError<RequestError<ReleaseRefusal>>> {
    // A hold whose seats are all given back ends.
    let release = |hold: &Reservation| give_back(hold, &hold.slots(), now);
    change(database, Operation::ReleaseHold, id, now, request, release).await
}

/// Gives back some seats of a hold.
pub async fn release_seats(
    database: &Database,
    id: ReservationId,
    slots: &[Slot],
    now: Timestamp,
    request: Option<&RequestKey>,
) -> Result<Applied<Reservation>, TxError<RequestError<ReleaseRefusal>>> {
    change(database, Operation::ReleaseSeats, id, now, request, |hold| give_back(hold, slots, now)).await
}

/// Extends a hold.
pub async fn extend(
    database: &Database,
    id: ReservationId,
    extension: Extension,
    now: Timestamp,
    request: &RequestKey,
) -> Result<Applied<Reservation>, TxError<RequestError<ExtendRefusal>>> {
    change(database, Operation::ExtendHold, id, now, Some(request), |hold| extension.of(hold, now)).await
}

/// The hold that a request released or extended, as that request was answered.
pub async fn find_changed<R>(
    database: &Database,
    request: &RequestKey,
) -> Result<Option<Reservation>, TxError<RequestError<R>>> {
    let conn = database.connection().await?;
    let changes = [Operation::ReleaseHold, Operation::ReleaseSeats, Operation::ExtendHold];
    match requests::find(&conn, &changes, request).await? {
        Some(known) => Ok(Some(recorded_answer(&conn, known).await?)),
        None => Ok(None),
    }
}

async fn change<R: Send + Sync>(
    database: &Database,
    operation: Operation,
    id: ReservationId,
    now: Timestamp,
    request: Option<&RequestKey>,
    decide: impl Fn(&Reservation) -> Result<Reservation, R> + Sync,
) -> Result<Applied<Reservation>, TxError<RequestError<R>>> {
    let mut conn = database.connection().await?;
    let changing = conn.transaction(async |conn| {
        if let Some(known) = requests::remember(conn, operation, request, id.0, Some(now)).await? {
            return Ok(Applied::Before(recorded_answer(conn, known).await?));
        }
        let before = reservation_rows::lock(conn, id.0).await?;
        let after = decide(&before).map_err(TxError::refused)?;
        if after.state == ReservationState::Released {
            reservation_rows::settle(conn, &after).await?;
            claims::delete(conn, &[id.0]).await?;
            outbox::append(conn, &[Event::HoldReleased(after.clone())]).await?;
            return Ok(Applied::Now(after));
        }
        let given_back: Vec<Slot> =
            before.slots().into_iter().filter(|slot| after.seats.iter().all(|seat| seat.slot != *slot)).collect();
        let event = [Event::HoldChanged { hold: after.clone(), released: given_back.clone(), at: now }];
        try_join!(
            reservation_rows::change(conn, &before, &after),
            claims::give_back(conn, &after, &given_back),
            outbox::append(conn, &event),
        )?;
        if let Some(request) = request {
            requests::keep_answer(conn, request, record(&after)?).await?;
        }
        Ok(Applied::Now(after))
    });
    changing.await
}

/// The answer of an earlier change: the hold as the change left it, or the reservation that it ended, which never
/// changes again.
async fn recorded_answer(conn: &AsyncPgConnection, known: Remembered) -> QueryResult<Reservation> {
    let changed = reservation_rows::find(conn, known.result_id).await?.ok_or(diesel::result::Error::NotFound)?;
    match known.answer {
        Some(record) => as_recorded(&changed, record),
        None => Ok(changed),
    }
}
