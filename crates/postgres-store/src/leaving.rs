//! Ends the queue tokens of fans who leave, and gives back the seats of their live holds, in batches.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::Unavailable;
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::time::Timestamp;
use futures::try_join;
use uuid::Uuid;

use crate::batcher::{Batched, Spoiled};
use crate::codec::state_text;
use crate::database::Database;
use crate::error::{TxError, to_each};
use crate::locks::{hurry, lock_fans};
use crate::reservation_rows::ReservationRow;
use crate::statement::{Cached, sql};
use crate::{claims, ended_tokens, outbox, reservation_rows};

/// A fan who leaves a queue.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// The token that ends.
    pub token: QueueTokenPayload,
    /// When.
    pub at: Timestamp,
}

/// The holds that were released.
pub type LeaveAnswer = Result<Vec<Reservation>, Unavailable>;

impl Batched for Leaving {
    fn key(&self) -> Option<(Uuid, Uuid)> {
        Some((self.token.user.0, self.token.performance.0))
    }
}

/// Lets fans of different keys leave, in one transaction. A fan whose token has ended before keeps the holds: they are paid with
/// another token.
pub async fn leave_all(database: &Database, fans: &[Leaving]) -> Result<Vec<LeaveAnswer>, Spoiled> {
    match database.transact("reservations.leave", || try_leave(database, fans)).await {
        Ok(mut released) => {
            let of = |fan: &Leaving| Ok(released.remove(&(fan.token.user, fan.token.performance)).unwrap_or_default());
            Ok(fans.iter().map(of).collect())
        }
        Err(unavailable) => to_each(unavailable, fans.len()),
    }
}

type Released = HashMap<(UserId, PerformanceId), Vec<Reservation>>;

async fn try_leave(database: &Database, fans: &[Leaving]) -> Result<Released, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let leaving = conn.transaction(async |conn| {
        let keys: Vec<(UserId, PerformanceId)> =
            fans.iter().map(|fan| (fan.token.user, fan.token.performance)).collect();
        let tokens: Vec<&QueueTokenPayload> = fans.iter().map(|fan| &fan.token).collect();
        let ((), (), left) = try_join!(
            hurry(conn, fans.len()),
            lock_fans(conn, &keys),
            ended_tokens::insert(conn, &tokens, EndReason::Left),
        )?;
        let left: Vec<&Leaving> = fans.iter().zip(left).filter(|(_, is_new)| *is_new).map(|(fan, _)| fan).collect();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let released = reservation_rows::with_seats(conn, release_rows(conn, &left).await?).await?;
        let ids: Vec<Uuid> = released.iter().map(|reservation| reservation.id.0).collect();
        if !ids.is_empty() {
            claims::delete(conn, &ids).await?;
            let events: Vec<Event> = released.iter().cloned().map(Event::HoldReleased).collect();
            outbox::append(conn, &events).await?;
        }
        Ok::<_, TxError<Unavailable>>(released)
    });
    let mut released = Released::new();
    for reservation in leaving.await? {
        released.entry((reservation.user, reservation.performance)).or_default().push(reservation);
    }
    Ok(released)
}

/// Ends the live holds of fans. They are found through the claims of each fan, and locked in the order of their ids.
async fn release_rows(conn: &AsyncPgConnection, fans: &[&Leaving]) -> QueryResult<Vec<ReservationRow>> {
    const RELEASE: &str = "
        WITH claimed AS MATERIALIZED (
            SELECT DISTINCT claim.reservation_id, leaving.at
            FROM unnest($1, $2, $3) AS leaving (user_id, performance_id, at)
            CROSS JOIN LATERAL (
                SELECT reservation_id FROM claims
                WHERE claims.user_id = leaving.user_id AND claims.performance_id = leaving.performance_id
            ) AS claim
        ), live AS MATERIALIZED (
            SELECT id, claimed.at FROM claimed JOIN reservations ON id = claimed.reservation_id
            WHERE state = $4 AND expires_at > claimed.at
            ORDER BY id
            FOR UPDATE OF reservations
        )
        UPDATE reservations SET state = 'released', settled_at = live.at
        FROM live WHERE reservations.id = live.id
        RETURNING reservations.*";
    let query = sql(RELEASE)
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|fan| fan.token.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|fan| fan.token.performance.0).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(fans.iter().map(|fan| fan.at).collect::<Vec<DateTime<Utc>>>())
        .bind::<Text, _>(state_text(ReservationState::Held));
    Cached(query).load(&mut &*conn).await
}
