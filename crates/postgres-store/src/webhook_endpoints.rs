use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{AddEndpointRefusal, NoSuchEndpoint, Rotated, WebhookEndpoints};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{ENDPOINTS_MAX, EndpointSecret, EndpointUrl, WebhookEndpoint, WebhookFilter};
use uuid::Uuid;

use crate::audit_log;
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::locks::lock_webhook_endpoints;
use crate::requests::{self, Operation};
use crate::statement::{Cached, sql};
use crate::webhook_rows::EndpointRow;

/// [`WebhookEndpoints`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresWebhookEndpoints {
    database: Database,
}

impl PostgresWebhookEndpoints {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_add(
        &self,
        endpoint: &WebhookEndpoint,
        cursor: OutboxPlace,
        request: &RequestKey,
        act: Option<&StaffAct>,
    ) -> Result<Applied<WebhookEndpoint>, TxError<RequestError<AddEndpointRefusal>>> {
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let (operation, id) = (Operation::AddWebhookEndpoint, endpoint.id.0);
            if let Some(known) = requests::remember(conn, operation, Some(request), id, Some(endpoint.made_at)).await? {
                let found = find(conn, known.result_id, false).await?;
                return found.map(Applied::Before).ok_or_else(|| TxError::refused(AddEndpointRefusal::Removed));
            }
            lock_webhook_endpoints(conn).await?;
            if insert(conn, endpoint, cursor).await? {
                audit_log::note(conn, act.map(|act| act.added_endpoint(endpoint))).await?;
                Ok(Applied::Now(endpoint.clone()))
            } else {
                Err(TxError::refused(AddEndpointRefusal::TooMany))
            }
        });
        adding.await
    }

    async fn try_find_added(
        &self,
        request: &RequestKey,
    ) -> Result<Option<WebhookEndpoint>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::AddWebhookEndpoint], request).await? {
            Some(known) => Ok(find(&mut conn, known.result_id, false).await?),
            None => Ok(None),
        }
    }

    async fn try_rotate(
        &self,
        id: EndpointId,
        secret: &EndpointSecret,
        now: Timestamp,
        request: &RequestKey,
        act: Option<&StaffAct>,
    ) -> Result<Applied<Rotated>, TxError<RequestError<NoSuchEndpoint>>> {
        let mut conn = self.database.connection().await?;
        let rotating = conn.transaction(async |conn| {
            let operation = Operation::RotateWebhookSecret;
            let known = requests::remember(conn, operation, Some(request), secret.id, Some(now)).await?;
            let endpoint = find(conn, id.0, true).await?.ok_or_else(|| TxError::refused(NoSuchEndpoint))?;
            if let Some(known) = known {
                return Ok(Applied::Before(Rotated { endpoint, secret: known.result_id }));
            }
            let secrets = endpoint.secrets.rotated(secret.clone(), now);
            let rotated = WebhookEndpoint { secrets, ..endpoint.clone() };
            write_secrets(conn, &rotated).await?;
            audit_log::note(conn, act.map(|act| act.changed_endpoint(Some(&endpoint), &rotated))).await?;
            Ok(Applied::Now(Rotated { endpoint: rotated, secret: secret.id }))
        });
        rotating.await
    }

    async fn try_change(
        &self,
        id: EndpointId,
        url: &EndpointUrl,
        filter: &WebhookFilter,
        act: Option<&StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, TxError<Unavailable>> {
        const CHANGE: &str =
            "UPDATE webhook_endpoints SET url = $2, kinds = $3, performances = $4 WHERE id = $1 RETURNING *";
        let mut conn = self.database.connection().await?;
        let changing = conn.transaction(async |conn| {
            let Some(before) = lock(conn, id.0).await? else { return Ok(None) };
            let query = sql(CHANGE)
                .bind::<SqlUuid, _>(id.0)
                .bind::<Text, _>(url.as_str())
                .bind::<Array<Text>, _>(&filter.kinds)
                .bind::<Array<SqlUuid>, _>(performances(filter));
            let changed: EndpointRow = Cached(query).get_result(conn).await?;
            let (before, after) = (before.read().ok(), changed.read()?);
            audit_log::note(conn, act.map(|act| act.changed_endpoint(before.as_ref(), &after))).await?;
            Ok(Some(after))
        });
        changing.await
    }

    async fn try_remove(
        &self,
        id: EndpointId,
        at: Timestamp,
        act: Option<&StaffAct>,
    ) -> Result<bool, TxError<Unavailable>> {
        const REMOVE: &str =
            "UPDATE webhook_endpoints SET removed_at = $2, holder = NULL, leased_until = NULL WHERE id = $1";
        let mut conn = self.database.connection().await?;
        let removing = conn.transaction(async |conn| {
            let Some(removed) = lock(conn, id.0).await? else { return Ok(false) };
            let query = sql(REMOVE).bind::<SqlUuid, _>(id.0).bind::<Timestamptz, _>(at);
            Cached(query).execute(conn).await?;
            let removed = removed.read().ok();
            audit_log::note(conn, act.map(|act| act.removed_endpoint(id, removed.as_ref()))).await?;
            Ok(true)
        });
        removing.await
    }

    async fn try_enable(
        &self,
        id: EndpointId,
        now: Timestamp,
        act: Option<&StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, TxError<Unavailable>> {
        // The deliveries are read before the endpoint is enabled, so nobody tries them meanwhile.
        const ENABLE: &str = "
            WITH enabled AS (
                UPDATE webhook_endpoints SET disabled_at = NULL, disabled_why = NULL, failing_since = NULL
                WHERE id = $1
                RETURNING id
            )
            UPDATE webhook_deliveries SET tries = 0, began_at = $2, next_try_at = $2
            FROM enabled WHERE endpoint_id = enabled.id AND next_try_at IS NOT NULL";
        let mut conn = self.database.connection().await?;
        let enabling = conn.transaction(async |conn| {
            let Some(before) = find(conn, id.0, true).await? else { return Ok(None) };
            if before.disabled.is_none() {
                return Ok(Some(before));
            }
            let query = sql(ENABLE).bind::<SqlUuid, _>(id.0).bind::<Timestamptz, _>(now);
            Cached(query).execute(conn).await?;
            let after = WebhookEndpoint { disabled: None, failing_since: None, ..before.clone() };
            audit_log::note(conn, act.map(|act| act.changed_endpoint(Some(&before), &after))).await?;
            Ok(Some(after))
        });
        enabling.await
    }
}

/// Adds an endpoint, unless there are as many as there may be.
async fn insert(conn: &mut AsyncPgConnection, endpoint: &WebhookEndpoint, cursor: OutboxPlace) -> QueryResult<bool> {
    const INSERT: &str = "
        INSERT INTO webhook_endpoints
            (id, url, kinds, performances, secret_id, secret, operator_id, made_at, window_number, sequence)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        WHERE (SELECT count(*) FROM webhook_endpoints WHERE removed_at IS NULL) < $11";
    let WebhookEndpoint { id, url, filter, secrets, made_by, made_at, .. } = endpoint;
    let query = sql(INSERT)
        .bind::<SqlUuid, _>(id.0)
        .bind::<Text, _>(url.as_str())
        .bind::<Array<Text>, _>(&filter.kinds)
        .bind::<Array<SqlUuid>, _>(performances(filter))
        .bind::<SqlUuid, _>(secrets.current.id)
        .bind::<Binary, _>(&secrets.current.sealed.0)
        .bind::<SqlUuid, _>(made_by.0)
        .bind::<Timestamptz, _>(*made_at)
        .bind::<BigInt, _>(cursor.window)
        .bind::<BigInt, _>(cursor.sequence)
        .bind::<BigInt, _>(i64::from(ENDPOINTS_MAX));
    Ok(Cached(query).execute(conn).await? == 1)
}

/// An endpoint that was not removed. Locked, it does not change until the end of the transaction.
async fn find(conn: &mut AsyncPgConnection, id: Uuid, locked: bool) -> QueryResult<Option<WebhookEndpoint>> {
    const FIND: &str = "SELECT * FROM webhook_endpoints WHERE id = $1 AND removed_at IS NULL";
    let row: Option<EndpointRow> = if locked {
        lock(conn, id).await?
    } else {
        Cached(sql(FIND).bind::<SqlUuid, _>(id)).get_result(conn).await.optional()?
    };
    row.map(EndpointRow::read).transpose()
}

/// The row of an endpoint that was not removed, which does not change until the end of the transaction. It may be unreadable: such an
/// endpoint can be given another URL and removed all the same.
async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<EndpointRow>> {
    const LOCK: &str = "SELECT * FROM webhook_endpoints WHERE id = $1 AND removed_at IS NULL FOR UPDATE";
    Cached(sql(LOCK).bind::<SqlUuid, _>(id)).get_result(conn).await.optional()
}

async fn write_secrets(conn: &mut AsyncPgConnection, endpoint: &WebhookEndpoint) -> QueryResult<()> {
    const WRITE: &str = "
        UPDATE webhook_endpoints
        SET secret_id = $2, secret = $3, previous_secret_id = $4, previous_secret = $5, previous_secret_ends_at = $6
        WHERE id = $1";
    let (current, previous) = (&endpoint.secrets.current, endpoint.secrets.previous.as_ref());
    let query = sql(WRITE)
        .bind::<SqlUuid, _>(endpoint.id.0)
        .bind::<SqlUuid, _>(current.id)
        .bind::<Binary, _>(&current.sealed.0)
        .bind::<Nullable<SqlUuid>, _>(previous.map(|(secret, _)| secret.id))
        .bind::<Nullable<Binary>, _>(previous.map(|(secret, _)| &secret.sealed.0))
        .bind::<Nullable<Timestamptz>, _>(previous.map(|(_, ends_at)| *ends_at));
    Cached(query).execute(conn).await?;
    Ok(())
}

fn performances(filter: &WebhookFilter) -> Vec<Uuid> {
    filter.performances.iter().map(|performance| performance.0).collect()
}

#[async_trait]
impl WebhookEndpoints for PostgresWebhookEndpoints {
    async fn add(
        &self,
        endpoint: WebhookEndpoint,
        cursor: OutboxPlace,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WebhookEndpoint>, RequestError<AddEndpointRefusal>> {
        let attempt = || self.try_add(&endpoint, cursor, &request, act.as_ref());
        self.database.transact("webhook_endpoints.add", attempt).await
    }

    async fn find_added(&self, request: RequestKey) -> Result<Option<WebhookEndpoint>, RequestError<Infallible>> {
        self.database.transact("webhook_endpoints.find_added", || self.try_find_added(&request)).await
    }

    async fn find(&self, id: EndpointId) -> Result<Option<WebhookEndpoint>, Unavailable> {
        let mut conn = self.database.connection().await?;
        find(&mut conn, id.0, false).await.map_err(unavailable)
    }

    async fn page(&self, page: PageRequest<EndpointId>) -> Result<Page<WebhookEndpoint, EndpointId>, Unavailable> {
        const PAGE: &str = "
            SELECT * FROM webhook_endpoints WHERE removed_at IS NULL AND ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2";
        let query = sql(PAGE)
            .bind::<Nullable<SqlUuid>, _>(page.after.map(|after| after.0))
            .bind::<BigInt, _>(i64::from(page.size) + 1);
        let mut conn = self.database.connection().await?;
        let rows: Vec<EndpointRow> = Cached(query).load(&mut conn).await.map_err(unavailable)?;
        let endpoints = rows.into_iter().map(EndpointRow::read).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(endpoints, page.size, |endpoint: &WebhookEndpoint| endpoint.id))
    }

    async fn change(
        &self,
        id: EndpointId,
        url: EndpointUrl,
        filter: WebhookFilter,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable> {
        let attempt = || self.try_change(id, &url, &filter, act.as_ref());
        self.database.transact("webhook_endpoints.change", attempt).await
    }

    async fn remove(&self, id: EndpointId, at: Timestamp, act: Option<StaffAct>) -> Result<bool, Unavailable> {
        self.database.transact("webhook_endpoints.remove", || self.try_remove(id, at, act.as_ref())).await
    }

    async fn rotate(
        &self,
        id: EndpointId,
        secret: EndpointSecret,
        now: Timestamp,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<Rotated>, RequestError<NoSuchEndpoint>> {
        let attempt = || self.try_rotate(id, &secret, now, &request, act.as_ref());
        self.database.transact("webhook_endpoints.rotate", attempt).await
    }

    async fn enable(
        &self,
        id: EndpointId,
        now: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable> {
        self.database.transact("webhook_endpoints.enable", || self.try_enable(id, now, act.as_ref())).await
    }
}
