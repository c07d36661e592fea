//! Placing holds, many at once: each is decided by itself, and all that may be placed are written in one transaction.

use std::collections::{HashMap, HashSet};

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::booking::Reservation;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::{Applied, RequestKey};
use futures::future::join_all;
use futures::try_join;
use uuid::Uuid;

use crate::batcher::Batched;
use crate::claims::GeneralAdmission;
use crate::database::Database;
use crate::error::TxError;
use crate::locks::lock_fans;
use crate::requests::{self, Operation};
use crate::{claims, outbox, reservation_rows};

/// What becomes of a hold.
pub type TokenAnswer = Result<Applied<Reservation>, RequestError<PlaceRefusal>>;

/// A hold that somebody wants to be placed.
#[derive(Clone, Debug)]
pub struct Placement {
    /// As planned.
    pub hold: Reservation,
    /// How many seats of the performance its fan may have, held plus sold.
    pub seats_per_fan: u32,
    /// Why it is placed.
    pub request: RequestKey,
}

impl Batched for Placement {
    fn request(&self) -> &RequestKey {
        &self.request
    }
}

/// Why a transaction was rolled back.
#[derive(Debug)]
enum Undone {
    /// Nothing is to be written.
    Answered(Vec<TokenAnswer>),
    /// Seats that were free when they were looked at were claimed before they were written.
    Overtaken,
    /// The database did not answer, or answered with an error.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Undone {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Places holds of different requests. Each has the answer that it would have if they were placed one after the other, in
/// this order: whatever is wrong with one does not touch the others.
pub async fn place_all(database: &Database, asked: &[Placement]) -> Vec<TokenAnswer> {
    match database.transact("reservations.place", || try_place(database, asked)).await {
        Ok(answers) | Err(Undone::Answered(answers)) => answers,
        Err(Undone::Overtaken) => place_each(database, asked).await,
        Err(Undone::Unavailable(unavailable)) if asked.len() > 1 && is_of_a_member(&unavailable) => {
            tracing::warn!(holds = asked.len(), "holds cannot be placed together, and are placed one by one");
            place_each(database, asked).await
        }
        Err(Undone::Unavailable(_)) => asked.iter().map(|_| Err(Unavailable::of("postgres").into())).collect(),
    }
}

/// Places each hold in a transaction of its own.
async fn place_each(database: &Database, asked: &[Placement]) -> Vec<TokenAnswer> {
    let answers = asked.iter().map(|placement| {
        // Boxed, since it is placed as a batch is: a batch of one, which is never parted again.
        Box::pin(place_all(database, std::slice::from_ref(placement)))
    });
    join_all(answers).await.into_iter().flatten().collect()
}

/// Whether the database answered, and did not like one of the holds; else it is not there, and trying again is in vain.
fn is_of_a_member(unavailable: &Unavailable) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    let error = unavailable.source.as_deref().and_then(|source| source.downcast_ref::<Error>());
    match error {
        Some(Error::DatabaseError(kind, _)) => !matches!(kind, ClosedConnection | UnableToSendCommand),
        Some(Error::DeserializationError(_) | Error::NotFound) => true,
        _ => false,
    }
}

async fn try_place(database: &Database, asked: &[Placement]) -> Result<Vec<TokenAnswer>, TxError<Undone>> {
    let mut conn = database.connection().await?;
    let placing = conn.transaction(async |conn| {
        let holds: Vec<&Reservation> = asked.iter().map(|placement| &placement.hold).collect();
        let notes: Vec<_> = asked
            .iter()
            .map(|it| requests::Note { key: &it.request, result_id: it.hold.id.0, at: it.hold.held_at })
            .collect();
        let (new, (), general_admission) = try_join!(
            requests::note_all(conn, Operation::PlaceHold, &notes),
            lock_fans(conn, &holds),
            claims::general_admission(conn, &holds),
        )?;
        let verdicts = decide(asked, &new, &general_admission);
        let answers = answer_all(conn, asked, &verdicts).await?;
        let of = |wanted: fn(&Verdict) -> bool| {
            asked.iter().zip(&verdicts).filter(move |(_, verdict)| wanted(verdict)).map(|(placement, _)| placement)
        };
        let placed: Vec<&Reservation> = of(|verdict| matches!(verdict, Verdict::Placed)).map(|it| &it.hold).collect();
        if placed.is_empty() {
            return Err(TxError::Port(Undone::Answered(answers)));
        }
        let refused: Vec<&RequestKey> =
            of(|verdict| matches!(verdict, Verdict::Refused(_))).map(|it| &it.request).collect();
        let events: Vec<Event> = placed.iter().map(|hold| Event::HoldPlaced((*hold).clone())).collect();
        let (lost, (), ()) = try_join!(
            claims::insert_holds(conn, &placed),
            requests::forget_all(conn, &refused),
            outbox::append(conn, &events),
        )?;
        match (lost.is_empty(), asked) {
            (true, _) => Ok(answers),
            (false, [_]) => {
                let slots = lost.into_iter().map(|(_, slot)| slot).collect();
                let refusal = RequestError::Refused(PlaceRefusal::SeatsTaken { slots });
                Err(TxError::Port(Undone::Answered(vec![Err(refusal)])))
            }
            (false, _) => Err(TxError::Port(Undone::Overtaken)),
        }
    });
    placing.await
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Its request was made before.
    Known,
    Refused(PlaceRefusal),
    Placed,
}

/// The rule of a hold against what is there and what is placed before it: its seats are free, and its fan stays within the
/// limit. `new` says of which requests nothing is known.
fn decide(asked: &[Placement], new: &HashSet<(Uuid, Uuid)>, general_admission: &GeneralAdmission) -> Vec<Verdict> {
    let mut taken = general_admission.taken.clone();
    let mut placed_for: HashMap<(UserId, PerformanceId), u32> = HashMap::new();
    let mut verdicts = Vec::with_capacity(asked.len());
    for (Placement { hold, seats_per_fan, request }, owned) in asked.iter().zip(&general_admission.owned) {
        let placed_for = placed_for.entry((hold.user, hold.performance)).or_default();
        let owned = owned.saturating_add(*placed_for);
        let wanted = u32::try_from(hold.seats.len()).unwrap_or(u32::MAX);
        let mut slots: Vec<Slot> =
            hold.slots().into_iter().filter(|slot| taken.contains(&(hold.performance, *slot))).collect();
        slots.sort_unstable();
        verdicts.push(if !new.contains(&(request.user.0, request.id.0)) {
            Verdict::Known
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
    asked: &[Placement],
    verdicts: &[Verdict],
) -> diesel::QueryResult<Vec<TokenAnswer>> {
    let known = asked.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Known);
    let known: Vec<RequestKey> = known.map(|(placement, _)| placement.request).collect();
    let mut before = find_placed(conn, &known).await?.into_iter();
    let answer = |(placement, verdict): (&Placement, &Verdict)| match verdict {
        Verdict::Placed => Ok(Ok(Applied::Now(placement.hold.clone()))),
        Verdict::Refused(refusal) => Ok(Err(RequestError::Refused(refusal.clone()))),
        Verdict::Known => match before.next() {
            Some(Ok(Some(first))) => Ok(Ok(Applied::Before(first))),
            Some(Err(Reused)) => Ok(Err(RequestError::Reused)),
            Some(Ok(None)) | None => Err(Error::NotFound),
        },
    };
    asked.iter().zip(verdicts).map(answer).collect()
}

/// The request was made before with another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reused;

/// The holds that requests placed, as they were placed, in the order asked.
pub async fn find_placed(
    conn: &AsyncPgConnection,
    asked: &[RequestKey],
) -> diesel::QueryResult<Vec<Result<Option<Reservation>, Reused>>> {
    let known = requests::find_all(conn, asked).await?;
    let ids: Vec<Uuid> = known.iter().flatten().map(|known| known.result_id).collect();
    let placed = reservation_rows::find_all_placed(conn, &ids).await?;
    let placed: HashMap<Uuid, Reservation> = placed.into_iter().map(|placed| (placed.id.0, placed)).collect();
    let first = |(key, known): (&RequestKey, Option<requests::Remembered>)| {
        let Some(known) = known else { return Ok(None) };
        if !known.is_of(Operation::PlaceHold, key) {
            return Err(Reused);
        }
        Ok(placed.get(&known.result_id).cloned())
    };
    Ok(asked.iter().zip(known).map(first).collect())
}
