//! The memory of requests: in each changing transaction the first statement is [`remember`], or [`note_all`].

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::RequestError;
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::error::TxError;
use crate::schema::requests;
use crate::statement::{Cached, sql};

/// What a request asked for. The fingerprint says it too; this is for people who read the table.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    CreateUser,
    AddVenue,
    AddConcert,
    AddPerformance,
    PatchQueue,
    PlaceHold,
    ReleaseHold,
    ReleaseSeats,
    ExtendHold,
    BlockSeats,
    UnblockSeats,
    TopUp,
    Pay,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::CreateUser => "create_user",
            Self::AddVenue => "add_venue",
            Self::AddConcert => "add_concert",
            Self::AddPerformance => "add_performance",
            Self::PatchQueue => "patch_queue",
            Self::PlaceHold => "place_hold",
            Self::ReleaseHold => "release_hold",
            Self::ReleaseSeats => "release_seats",
            Self::ExtendHold => "extend_hold",
            Self::BlockSeats => "block_seats",
            Self::UnblockSeats => "unblock_seats",
            Self::TopUp => "top_up",
            Self::Pay => "pay",
        }
    }
}

/// What a request did when it came first.
#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = requests)]
pub struct Remembered {
    operation: String,
    fingerprint: Vec<u8>,
    /// What it made or changed.
    pub result_id: Uuid,
    /// What it answered, where that was kept.
    pub answer: Option<Value>,
}

impl Remembered {
    /// Whether it did this, for a request of this body.
    pub fn is_of(&self, operation: Operation, key: &RequestKey) -> bool {
        self.operation == operation.as_str() && key.fingerprint.repeats(&self.fingerprint)
    }
}

#[derive(Insertable)]
#[diesel(table_name = requests)]
struct NewRequest<'a> {
    user_id: Uuid,
    request_id: Uuid,
    operation: &'static str,
    fingerprint: &'a [u8],
    result_id: Uuid,
    created_at: Option<DateTime<Utc>>,
}

/// Notes the request with the id of what it is about to make or change; `None` if it is new, as is every change without
/// a request. If the same request is being made by another transaction, this waits for the other's end. A refusal
/// rolls the note back with the rest.
pub async fn remember<R>(
    conn: &AsyncPgConnection,
    operation: Operation,
    key: Option<&RequestKey>,
    result_id: Uuid,
    at: Option<Timestamp>,
) -> Result<Option<Remembered>, TxError<RequestError<R>>> {
    let Some(key) = key else {
        return Ok(None);
    };
    let request = NewRequest {
        user_id: key.user.0,
        request_id: key.id.0,
        operation: operation.as_str(),
        fingerprint: key.fingerprint.as_bytes(),
        result_id,
        created_at: at,
    };
    let noted = diesel::insert_into(requests::table).values(&request).on_conflict_do_nothing();
    if Cached(noted).execute(&mut &*conn).await? == 1 {
        return Ok(None);
    }
    let remembered = find(conn, operation, key).await?;
    remembered.map(Some).ok_or_else(|| diesel::result::Error::NotFound.into())
}

/// What the request did before, if it was made.
pub async fn find<R>(
    conn: &AsyncPgConnection,
    operation: Operation,
    key: &RequestKey,
) -> Result<Option<Remembered>, TxError<RequestError<R>>> {
    let query = requests::table.find((key.user.0, key.id.0)).select(Remembered::as_select());
    let remembered: Option<Remembered> = query.first(&mut &*conn).await.optional()?;
    match remembered {
        Some(remembered) if !remembered.is_of(operation, key) => Err(TxError::Port(RequestError::Reused)),
        remembered => Ok(remembered),
    }
}

/// A request to be noted, as [`remember`] does.
pub struct Note<'a> {
    pub key: &'a RequestKey,
    pub result_id: Uuid,
    pub at: Timestamp,
}

/// Notes requests, of which no two are the same, and says which of them are new: `(user, request)`. Each waits for another
/// transaction that is making the same request.
///
/// They are noted in the order of their keys, so that transactions wait for each other in one direction only.
pub async fn note_all(
    conn: &AsyncPgConnection,
    operation: Operation,
    notes: &[Note<'_>],
) -> QueryResult<HashSet<(Uuid, Uuid)>> {
    const NOTE: &str = "
        INSERT INTO requests (user_id, request_id, operation, fingerprint, result_id, created_at)
        SELECT user_id, request_id, $1, fingerprint, result_id, created_at
        FROM unnest($2, $3, $4, $5, $6) AS note (user_id, request_id, fingerprint, result_id, created_at)
        ORDER BY user_id, request_id
        ON CONFLICT DO NOTHING
        RETURNING user_id, request_id";
    #[derive(QueryableByName)]
    #[diesel(table_name = requests)]
    struct New {
        user_id: Uuid,
        request_id: Uuid,
    }
    let query = sql(NOTE)
        .bind::<Text, _>(operation.as_str())
        .bind::<Array<SqlUuid>, _>(notes.iter().map(|note| note.key.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(notes.iter().map(|note| note.key.id.0).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(notes.iter().map(|note| note.key.fingerprint.as_bytes()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(notes.iter().map(|note| note.result_id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(notes.iter().map(|note| note.at).collect::<Vec<_>>());
    let new: Vec<New> = Cached(query).load(&mut &*conn).await?;
    Ok(new.into_iter().map(|New { user_id, request_id }| (user_id, request_id)).collect())
}

/// Takes back what this very transaction noted.
pub async fn forget_all(conn: &AsyncPgConnection, keys: &[&RequestKey]) -> QueryResult<()> {
    const FORGET: &str = "
        DELETE FROM requests USING unnest($1, $2) AS note (user_id, request_id)
        WHERE requests.user_id = note.user_id AND requests.request_id = note.request_id";
    if keys.is_empty() {
        return Ok(());
    }
    let query = sql(FORGET)
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.id.0).collect::<Vec<_>>());
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// What requests did before, in the order asked; none for one that was not made. Each is looked up by itself, over the
/// primary key, whatever the planner believes of the table.
pub async fn find_all(conn: &AsyncPgConnection, keys: &[RequestKey]) -> QueryResult<Vec<Option<Remembered>>> {
    const FIND: &str = "
        SELECT place, known.*
        FROM unnest($1, $2) WITH ORDINALITY AS asked (user_id, request_id, place)
        CROSS JOIN LATERAL (
            SELECT operation, fingerprint, result_id, answer FROM requests
            WHERE requests.user_id = asked.user_id AND requests.request_id = asked.request_id
            LIMIT 1
        ) AS known";
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        place: i64,
        #[diesel(embed)]
        known: Remembered,
    }
    let mut known: Vec<Option<Remembered>> = keys.iter().map(|_| None).collect();
    if keys.is_empty() {
        return Ok(known);
    }
    let query = sql(FIND)
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.id.0).collect::<Vec<_>>());
    let found: Vec<Found> = Cached(query).load(&mut &*conn).await?;
    for found in found {
        // Places begin at 1.
        let place = usize::try_from(found.place - 1).unwrap_or(usize::MAX);
        if let Some(known) = known.get_mut(place) {
            *known = Some(found.known);
        }
    }
    Ok(known)
}

/// Keeps the answer of a request whose effect later changes would hide.
pub async fn keep_answer(conn: &mut AsyncPgConnection, key: &RequestKey, answer: Value) -> QueryResult<()> {
    let request = requests::table.find((key.user.0, key.id.0));
    diesel::update(request).set(requests::answer.eq(answer)).execute(conn).await?;
    Ok(())
}
