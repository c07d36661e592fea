//! Places batches of holds. Each hold is decided by itself, and all that are accepted are written in one transaction.

use std::collections::{HashMap, HashSet};

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::booking::Reservation;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::PlaceRefusal;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{Applied, RequestKey};
use futures::try_join;
use uuid::Uuid;

use crate::batcher::{Batched, Spoiled};
use crate::claims::ExistingClaims;
use crate::database::Database;
use crate::error::{TxError, to_each};
use crate::locks::{hurry, lock_fans};
use crate::requests::{self, Operation};
use crate::{claims, outbox, reservation_rows};

/// The result of placing one hold.
pub type PlaceAnswer = Result<Applied<Reservation>, RequestError<PlaceRefusal>>;

/// A hold to be placed.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The planned hold.
    pub hold: Reservation,
    /// The most seats of the performance that the fan may have, held plus sold.
    pub seats_per_fan: u32,
    /// The queue token with which the fan can pay for it, if there is one.
    pub token: Option<QueueTokenPayload>,
    /// The request that it is placed for.
    pub request: RequestKey,
}

impl Batched for Placement {
    fn key(&self) -> Option<(Uuid, Uuid)> {
        Some((self.request.user.0, self.request.id.0))
    }

    /// The lock of a fan is taken for each hold.
    fn owner(&self) -> Option<Uuid> {
        Some(self.hold.user.0)
    }
}

/// Why a transaction was rolled back although the database is available.
#[derive(Debug)]
enum Rollback {
    /// No hold is to be written.
    Answered(Vec<PlaceAnswer>),
    /// A concurrent transaction claimed some of the seats after they were found free.
    SeatsClaimed,
    /// The database is unavailable, or returned an error.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Rollback {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Places holds of different requests. Each is answered as if they were placed one after the other, in this order.
pub async fn place_all(database: &Database, placements: &[Placement]) -> Result<Vec<PlaceAnswer>, Spoiled> {
    match database.transact("reservations.place", || try_place(database, placements)).await {
        Ok(answers) | Err(Rollback::Answered(answers)) => Ok(answers),
        Err(Rollback::SeatsClaimed) => Err(Spoiled),
        // A hold of this id was placed after the ids were looked up, for a request that was forgotten since.
        Err(Rollback::Unavailable(unavailable)) if is_known_id(&unavailable) => {
            if placements.len() == 1 {
                Ok(vec![Err(RequestError::Reused)])
            } else {
                Err(Spoiled)
            }
        }
        Err(Rollback::Unavailable(unavailable)) => to_each(unavailable, placements.len()),
    }
}

fn is_known_id(unavailable: &Unavailable) -> bool {
    let error = unavailable.source.as_deref().and_then(|source| source.downcast_ref::<Error>());
    matches!(error, Some(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information))
        if matches!(information.constraint_name(), Some("reservations_pkey" | "reservation_seats_pkey")))
}

async fn try_place(database: &Database, placements: &[Placement]) -> Result<Vec<PlaceAnswer>, TxError<Rollback>> {
    let mut conn = database.connection().await?;
    let placing = conn.transaction(async |conn| {
        let holds: Vec<&Reservation> = placements.iter().map(|placement| &placement.hold).collect();
        let fans: Vec<_> = holds.iter().map(|hold| (hold.user, hold.performance)).collect();
        let tokens: Vec<_> = placements.iter().map(|placement| placement.token).collect();
        let new_requests: Vec<_> = placements
            .iter()
            .map(|it| requests::NewRequest { key: &it.request, result_id: it.hold.id.0, at: it.hold.held_at })
            .collect();
        let ((), new, (), existing) = try_join!(
            hurry(conn, placements.len()),
            requests::remember_all(conn, Operation::PlaceHold, &new_requests),
            lock_fans(conn, &fans),
            claims::existing(conn, &holds, &tokens),
        )?;
        let verdicts = decide(placements, &new, &existing);
        let answers = answer_all(conn, placements, &verdicts).await?;
        let with = |wanted: fn(&Verdict) -> bool| {
            placements.iter().zip(&verdicts).filter(move |(_, verdict)| wanted(verdict)).map(|(placement, _)| placement)
        };
        let placed: Vec<&Reservation> = with(|verdict| matches!(verdict, Verdict::Placed)).map(|it| &it.hold).collect();
        if placed.is_empty() {
            return Err(TxError::Port(Rollback::Answered(answers)));
        }
        let refused: Vec<&RequestKey> =
            with(|verdict| matches!(verdict, Verdict::Refused(_) | Verdict::Reused)).map(|it| &it.request).collect();
        let events: Vec<Event> = placed.iter().map(|hold| Event::HoldPlaced((*hold).clone())).collect();
        let (lost, (), ()) = try_join!(
            claims::insert_holds(conn, &placed),
            requests::forget_all(conn, &refused),
            outbox::append(conn, &events),
        )?;
        match (lost.is_empty(), placements) {
            (true, _) => Ok(answers),
            (false, [_]) => {
                let slots = lost.into_iter().map(|(_, slot)| slot).collect();
                let refusal = RequestError::Refused(PlaceRefusal::SeatsTaken { slots });
                Err(TxError::Port(Rollback::Answered(vec![Err(refusal)])))
            }
            (false, _) => Err(TxError::Port(Rollback::SeatsClaimed)),
        }
    });
    placing.await
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// The request is a repeat.
    Known,
    /// The id of the hold follows from its request, which has placed it before and was forgotten.
    Reused,
    Refused(PlaceRefusal),
    Placed,
}

/// Decides each hold against the existing claims and the holds before it: its queue token must not have ended, it must be new, its seats
/// must be free, and its fan must stay within the limit. `new` has the requests that are not repeats.
fn decide(placements: &[Placement], new: &HashSet<(Uuid, Uuid)>, existing: &ExistingClaims) -> Vec<Verdict> {
    let mut taken = existing.taken.clone();
    let mut placed_for: HashMap<(UserId, PerformanceId), u32> = HashMap::new();
    let mut verdicts = Vec::with_capacity(placements.len());
    for (Placement { hold, seats_per_fan, request, .. }, of_fan) in placements.iter().zip(&existing.of_fans) {
        let placed_for = placed_for.entry((hold.user, hold.performance)).or_default();
        let owned = of_fan.owned.saturating_add(*placed_for);
        let wanted = u32::try_from(hold.seats.len()).unwrap_or(u32::MAX);
        let mut slots: Vec<Slot> =
            hold.slots().into_iter().filter(|slot| taken.contains(&(hold.performance, *slot))).collect();
        slots.sort_unstable();
        verdicts.push(if !new.contains(&(request.user.0, request.id.0)) {
            Verdict::Known
        } else if let Some(reason) = of_fan.token_end {
            Verdict::Refused(PlaceRefusal::TokenEnded(reason))
        } else if of_fan.is_placed {
            Verdict::Reused
        } else if !slots.is_empty() {
            Verdict::Refused(PlaceRefusal::SeatsTaken { slots })
        } else if owned.saturating_add(wanted) > *seats_per_fan {
            Verdict::Refused(PlaceRefusal::OverLimit { limit: *seats_per_fan, owned })
        } else {
            taken.extend(hold.slots().into_iter().map(|slot| (hold.performance, slot)));
            *placed_for += wanted;
            Verdict::Placed
        });
    }
    verdicts
}

async fn answer_all(
    conn: &AsyncPgConnection,
    placements: &[Placement],
    verdicts: &[Verdict],
) -> diesel::QueryResult<Vec<PlaceAnswer>> {
    let known = placements.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Known);
    let known: Vec<RequestKey> = known.map(|(placement, _)| placement.request).collect();
    let mut before = find_placed(conn, &known).await?.into_iter();
    let answer = |(placement, verdict): (&Placement, &Verdict)| match verdict {
        Verdict::Placed => Ok(Ok(Applied::Now(placement.hold.clone()))),
        Verdict::Refused(refusal) => Ok(Err(RequestError::Refused(refusal.clone()))),
        Verdict::Reused => Ok(Err(RequestError::Reused)),
        Verdict::Known => match before.next() {
            Some(Ok(Some(first))) => Ok(Ok(Applied::Before(first))),
            Some(Err(Reused)) => Ok(Err(RequestError::Reused)),
            Some(Ok(None)) | None => Err(Error::NotFound),
        },
    };
    placements.iter().zip(verdicts).map(answer).collect()
}

/// The request id was used before with another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reused;

/// The holds that these requests placed, as they were placed, in the order of the requests.
pub async fn find_placed(
    conn: &AsyncPgConnection,
    keys: &[RequestKey],
) -> diesel::QueryResult<Vec<Result<Option<Reservation>, Reused>>> {
    let known = requests::find_all(conn, keys).await?;
    let ids: Vec<Uuid> = known.iter().flatten().map(|known| known.result_id).collect();
    let placed = reservation_rows::find_all_placed(conn, &ids).await?;
    let placed: HashMap<Uuid, Reservation> = placed.into_iter().map(|placed| (placed.id.0, placed)).collect();
    let first = |(key, known): (&RequestKey, Option<requests::Remembered>)| {
        let Some(known) = known else { return Ok(None) };
        if !known.is_of(&[Operation::PlaceHold], key) {
            return Err(Reused);
        }
        Ok(placed.get(&known.result_id).cloned())
    };
    Ok(keys.iter().zip(known).map(first).collect())
}
