//! Records of requests, which make them idempotent. The first statement of a transaction that changes something is
//! [`remember`] or [`remember_all`].

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

/// The operation of a request. The fingerprint covers it too; the column is for people who read the table.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    CreateUser,
    AddVenue,
    AddConcert,
    AddPerformance,
    ChangePerformance,
    AddDraft,
    PatchQueue,
    PlaceHold,
    ReleaseHold,
    ReleaseSeats,
    ExtendHold,
    BlockSeats,
    UnblockSeats,
    TopUp,
    Pay,
    Cancel,
    CancelAsOperator,
    PayByCard,
    CreditWallet,
    Withdraw,
    AddWebhookEndpoint,
    RotateWebhookSecret,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::CreateUser => "create_user",
            Self::AddVenue => "add_venue",
            Self::AddConcert => "add_concert",
            Self::AddPerformance => "add_performance",
            Self::ChangePerformance => "change_performance",
            Self::AddDraft => "add_draft",
            Self::PatchQueue => "patch_queue",
            Self::PlaceHold => "place_hold",
            Self::ReleaseHold => "release_hold",
            Self::ReleaseSeats => "release_seats",
            Self::ExtendHold => "extend_hold",
            Self::BlockSeats => "block_seats",
            Self::UnblockSeats => "unblock_seats",
            Self::TopUp => "top_up",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::CancelAsOperator => "cancel_as_operator",
            Self::PayByCard => "pay_by_card",
            Self::CreditWallet => "credit_wallet",
            Self::Withdraw => "withdraw",
            Self::AddWebhookEndpoint => "add_webhook_endpoint",
            Self::RotateWebhookSecret => "rotate_webhook_secret",
        }
    }
}

/// The record of a request.
#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = requests)]
pub struct Remembered {
    operation: String,
    fingerprint: Vec<u8>,
    /// The id of what the request created or changed.
    pub result_id: Uuid,
    /// The stored answer, if there is one.
    pub answer: Option<Value>,
}

impl Remembered {
    /// Whether it is the record of one of these operations with this body.
    pub fn is_of(&self, operations: &[Operation], key: &RequestKey) -> bool {
        operations.iter().any(|operation| self.operation == operation.as_str())
            && key.fingerprint.repeats(&self.fingerprint)
    }
}

#[derive(Insertable)]
#[diesel(table_name = requests)]
struct RequestRow<'a> {
    user_id: Uuid,
    request_id: Uuid,
    operation: &'static str,
    fingerprint: &'a [u8],
    result_id: Uuid,
    created_at: Option<DateTime<Utc>>,
}

/// Records the request with the id of what it is going to create or change. Returns `None` if the request is new or
/// there is none, and the earlier record if it is a repeat. Waits for the end of a concurrent transaction of the same
/// request. A refusal rolls the record back.
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
    let request = RequestRow {
        user_id: key.user.0,
        request_id: key.id.0,
        operation: operation.as_str(),
        fingerprint: key.fingerprint.as_bytes(),
        result_id,
        created_at: at,
    };
    let insert = diesel::insert_into(requests::table).values(&request).on_conflict_do_nothing();
    if Cached(insert).execute(&mut &*conn).await? == 1 {
        return Ok(None);
    }
    let remembered = find(conn, &[operation], key).await?;
    remembered.map(Some).ok_or_else(|| diesel::result::Error::NotFound.into())
}

/// The record of the request, if there is one. It must be of one of these operations.
pub async fn find<R>(
    conn: &AsyncPgConnection,
    operations: &[Operation],
    key: &RequestKey,
) -> Result<Option<Remembered>, TxError<RequestError<R>>> {
    let query = requests::table.find((key.user.0, key.id.0)).select(Remembered::as_select());
    let remembered: Option<Remembered> = query.first(&mut &*conn).await.optional()?;
    match remembered {
        Some(remembered) if !remembered.is_of(operations, key) => Err(TxError::Port(RequestError::Reused)),
        remembered => Ok(remembered),
    }
}

/// A request for [`remember_all`].
pub struct NewRequest<'a> {
    pub key: &'a RequestKey,
    pub result_id: Uuid,
    pub at: Timestamp,
}

/// Records different requests, and returns those that are new as `(user, request)`. Each insert waits for a concurrent
/// transaction of the same request.
///
/// They are inserted in the order of their keys, which prevents deadlocks.
pub async fn remember_all(
    conn: &AsyncPgConnection,
    operation: Operation,
    requests: &[NewRequest<'_>],
) -> QueryResult<HashSet<(Uuid, Uuid)>> {
    const INSERT: &str = "
        INSERT INTO requests (user_id, request_id, operation, fingerprint, result_id, created_at)
        SELECT user_id, request_id, $1, fingerprint, result_id, created_at
        FROM unnest($2, $3, $4, $5, $6) AS request (user_id, request_id, fingerprint, result_id, created_at)
        ORDER BY user_id, request_id
        ON CONFLICT DO NOTHING
        RETURNING user_id, request_id";
    #[derive(QueryableByName)]
    #[diesel(table_name = requests)]
    struct New {
        user_id: Uuid,
        request_id: Uuid,
    }
    let query = sql(INSERT)
        .bind::<Text, _>(operation.as_str())
        .bind::<Array<SqlUuid>, _>(requests.iter().map(|new| new.key.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(requests.iter().map(|new| new.key.id.0).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(requests.iter().map(|new| new.key.fingerprint.as_bytes()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(requests.iter().map(|new| new.result_id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(requests.iter().map(|new| new.at).collect::<Vec<_>>());
    let new: Vec<New> = Cached(query).load(&mut &*conn).await?;
    Ok(new.into_iter().map(|New { user_id, request_id }| (user_id, request_id)).collect())
}

/// Deletes requests that this transaction has recorded.
pub async fn forget_all(conn: &AsyncPgConnection, keys: &[&RequestKey]) -> QueryResult<()> {
    const FORGET: &str = "
        DELETE FROM requests USING unnest($1, $2) AS refused (user_id, request_id)
        WHERE requests.user_id = refused.user_id AND requests.request_id = refused.request_id";
    if keys.is_empty() {
        return Ok(());
    }
    let query = sql(FORGET)
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.id.0).collect::<Vec<_>>());
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// The records of requests, in this order; none for a request without a record. The lateral join makes the planner look
/// up each of them through the primary key, whatever the statistics of the table are.
pub async fn find_all(conn: &AsyncPgConnection, keys: &[RequestKey]) -> QueryResult<Vec<Option<Remembered>>> {
    const FIND: &str = "
        SELECT nth, known.*
        FROM unnest($1, $2) WITH ORDINALITY AS wanted (user_id, request_id, nth)
        CROSS JOIN LATERAL (
            SELECT operation, fingerprint, result_id, answer FROM requests
            WHERE requests.user_id = wanted.user_id AND requests.request_id = wanted.request_id
            LIMIT 1
        ) AS known";
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        nth: i64,
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
        // Ordinals begin at 1.
        let at = usize::try_from(found.nth - 1).unwrap_or(usize::MAX);
        if let Some(known) = known.get_mut(at) {
            *known = Some(found.known);
        }
    }
    Ok(known)
}

/// Stores the answer of a request, for results that later changes overwrite.
pub async fn keep_answer(conn: &mut AsyncPgConnection, key: &RequestKey, answer: Value) -> QueryResult<()> {
    let request = requests::table.find((key.user.0, key.id.0));
    diesel::update(request).set(requests::answer.eq(answer)).execute(conn).await?;
    Ok(())
}
