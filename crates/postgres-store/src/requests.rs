//! The memory of requests: in each changing transaction the first statement is [`remember`].

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::PortError;
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::error::TxError;
use crate::schema::requests;
use crate::statement::Cached;

/// What a request asked for. The fingerprint says it too; this is for people who read the table.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    CreateUser,
    AddVenue,
    AddConcert,
    AddPerformance,
    PatchLine,
    PlaceHold,
    ReleaseHold,
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
            Self::PatchLine => "patch_line",
            Self::PlaceHold => "place_hold",
            Self::ReleaseHold => "release_hold",
            Self::TopUp => "top_up",
            Self::Pay => "pay",
        }
    }
}

/// What a request did when it came first.
#[derive(Debug, Queryable, Selectable)]
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
    fn is_of(&self, operation: Operation, key: &RequestKey) -> bool {
        self.operation == operation.as_str() && self.fingerprint == key.fingerprint
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
) -> Result<Option<Remembered>, TxError<R>> {
    let Some(key) = key else {
        return Ok(None);
    };
    let request = NewRequest {
        user_id: key.user.0,
        request_id: key.id.0,
        operation: operation.as_str(),
        fingerprint: &key.fingerprint,
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
) -> Result<Option<Remembered>, TxError<R>> {
    let query = requests::table.find((key.user.0, key.id.0)).select(Remembered::as_select());
    let remembered: Option<Remembered> = query.first(&mut &*conn).await.optional()?;
    match remembered {
        Some(remembered) if !remembered.is_of(operation, key) => Err(TxError::Port(PortError::RequestReused)),
        remembered => Ok(remembered),
    }
}

/// Keeps the answer of a request whose effect later changes would hide.
pub async fn keep_answer(conn: &mut AsyncPgConnection, key: &RequestKey, answer: Value) -> QueryResult<()> {
    let request = requests::table.find((key.user.0, key.id.0));
    diesel::update(request).set(requests::answer.eq(answer)).execute(conn).await?;
    Ok(())
}
