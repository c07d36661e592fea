use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::Account;
use encore_domain::identity::session::{
    DeviceName, NextToken, RefreshChain, RefreshPlan, SECRET_BYTES, SESSIONS_PER_USER_MAX, Salt, SecretDigest, Session,
    SessionRecord, SessionTerms, ShownToken,
};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccountChanged, EndedSession, Refreshed, Sessions};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::schema::sessions;
use crate::statement::{Cached, sql};

/// [`Sessions`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSessions {
    database: Database,
}

impl PostgresSessions {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_start(
        &self,
        record: &SessionRecord,
        account: &Account,
    ) -> Result<Vec<SessionId>, TxError<PortError<AccountChanged>>> {
        // Log-ins of one user are counted one after the other. A refresh takes no lock of the user.
        const LOCK: &str = "
            SELECT id FROM users WHERE id = $1 AND password_hash = $2 AND role = $3 FOR NO KEY UPDATE";
        const END_BEYOND: &str = "
            UPDATE sessions SET ended_at = $3 WHERE id = ANY (ARRAY(
                SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL
                ORDER BY refreshed_at DESC, id DESC
                OFFSET $2
            ))
            RETURNING id";
        let mut conn = self.database.connection().await?;
        let starting = conn.transaction(async |conn| {
            let lock = sql(LOCK)
                .bind::<SqlUuid, _>(account.user.id.0)
                .bind::<Text, _>(&account.password_hash.0)
                .bind::<Text, _>(account.user.role.name());
            let unchanged: Vec<Id> = Cached(lock).load(conn).await?;
            if unchanged.is_empty() {
                return Err(TxError::Port(PortError::Refused(AccountChanged)));
            }
            let kept = i64::try_from(SESSIONS_PER_USER_MAX - 1).unwrap_or(i64::MAX);
            let end = sql(END_BEYOND)
                .bind::<SqlUuid, _>(account.user.id.0)
                .bind::<BigInt, _>(kept)
                .bind::<Timestamptz, _>(record.session.started_at);
            let ended: Vec<Id> = Cached(end).load(conn).await?;
            diesel::insert_into(sessions::table).values(SessionRow::of(record)).execute(conn).await?;
            Ok(ended.into_iter().map(Id::session).collect())
        });
        starting.await
    }

    async fn try_refresh(
        &self,
        shown: &ShownToken,
        next: NextToken,
        at: Timestamp,
        terms: &SessionTerms,
    ) -> Result<Refreshed, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let refreshing = conn.transaction(async |conn| {
            let live = sessions::table.find(shown.session.0).filter(sessions::ended_at.is_null());
            let query = live.select(SessionRow::as_select()).for_update();
            let Some(row) = query.first(conn).await.optional()? else { return Ok(Refreshed::Refused) };
            let record = row.into_record()?;
            let session = record.session.clone();
            Ok(match record.plan_refresh(shown, next, at, terms) {
                RefreshPlan::Rotate(rotated) => {
                    let row = sessions::table.find(shown.session.0);
                    diesel::update(row).set(SessionRow::of(&rotated)).execute(conn).await?;
                    Refreshed::Rotated(rotated.session)
                }
                RefreshPlan::Repeat => Refreshed::Again(session, record.chain.current.salt),
                RefreshPlan::Replay => {
                    end(conn, session.user, session.id, at).await?;
                    Refreshed::Replayed(session)
                }
                RefreshPlan::Refuse => Refreshed::Refused,
            })
        });
        refreshing.await
    }

    async fn try_end_all(&self, user: UserId, at: Timestamp) -> Result<Vec<SessionId>, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        Ok(end_all_but(&mut conn, user, None, at).await?)
    }

    async fn sweep(&self, statement: &'static str, at: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let mut conn = self.database.connection().await?;
        let sweep = sql(statement).bind::<Timestamptz, _>(at).bind::<BigInt, _>(i64::from(limit));
        Ok(Cached(sweep).execute(&mut conn).await.map_err(unavailable)? as u64)
    }
}

#[async_trait]
impl Sessions for PostgresSessions {
    async fn start(
        &self,
        record: SessionRecord,
        account: &Account,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>> {
        self.database.transact("sessions.start", || self.try_start(&record, account)).await
    }

    async fn refresh(
        &self,
        shown: ShownToken,
        next: NextToken,
        at: Timestamp,
        terms: &SessionTerms,
    ) -> Result<Refreshed, Unavailable> {
        self.database.transact("sessions.refresh", || self.try_refresh(&shown, next, at, terms)).await
    }

    async fn end(&self, user: UserId, session: SessionId, at: Timestamp) -> Result<bool, Unavailable> {
        let mut conn = self.database.connection().await?;
        end(&mut conn, user, session, at).await.map_err(unavailable)
    }

    async fn end_all(&self, user: UserId, at: Timestamp) -> Result<Vec<SessionId>, Unavailable> {
        self.database.transact("sessions.end_all", || self.try_end_all(user, at)).await
    }

    async fn live(&self, user: UserId, at: Timestamp) -> Result<Vec<Session>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = sessions::table.filter(sessions::user_id.eq(user.0)).filter(sessions::ended_at.is_null());
        let query = of_user.order((sessions::refreshed_at.desc(), sessions::id.desc())).select(SessionRow::as_select());
        let rows: Vec<SessionRow> = query.load(&mut conn).await.map_err(unavailable)?;
        let sessions = rows.into_iter().map(|row| Ok(row.into_record()?.session));
        let mut sessions = sessions.collect::<QueryResult<Vec<Session>>>().map_err(unavailable)?;
        // Not in the query, which would be planned with the index of expiries while the table is empty. A user has few.
        sessions.retain(|session| at < session.expires_at);
        Ok(sessions)
    }

    async fn ended_after(&self, after: EndedSession, limit: u32) -> Result<Vec<EndedSession>, Unavailable> {
        const ENDED: &str = "
            SELECT ended_at, id FROM sessions
            WHERE ended_at IS NOT NULL AND (ended_at, id) > ($1, $2)
            ORDER BY ended_at, id
            LIMIT $3";
        #[derive(QueryableByName)]
        struct Ended {
            #[diesel(sql_type = Timestamptz)]
            ended_at: DateTime<Utc>,
            #[diesel(sql_type = SqlUuid)]
            id: Uuid,
        }
        let mut conn = self.database.connection().await?;
        let query = sql(ENDED)
            .bind::<Timestamptz, _>(after.ended_at)
            .bind::<SqlUuid, _>(after.id.0)
            .bind::<BigInt, _>(i64::from(limit));
        let rows: Vec<Ended> = Cached(query).load(&mut conn).await.map_err(unavailable)?;
        Ok(rows.into_iter().map(|Ended { ended_at, id }| EndedSession { ended_at, id: SessionId(id) }).collect())
    }

    async fn expire(&self, at: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        const EXPIRE: &str = "
            UPDATE sessions SET ended_at = $1 WHERE id = ANY (ARRAY(
                SELECT id FROM sessions WHERE ended_at IS NULL AND expires_at <= $1
                ORDER BY expires_at
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))";
        self.sweep(EXPIRE, at, limit).await
    }

    async fn forget(&self, ended_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        const FORGET: &str = "
            DELETE FROM sessions WHERE id = ANY (ARRAY(
                SELECT id FROM sessions WHERE ended_at IS NOT NULL AND ended_at <= $1
                ORDER BY ended_at, id
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))";
        self.sweep(FORGET, ended_by, limit).await
    }
}

/// Ends a session, if it is live and the user's.
async fn end(conn: &mut AsyncPgConnection, user: UserId, session: SessionId, at: Timestamp) -> QueryResult<bool> {
    const END: &str = "UPDATE sessions SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    let update = sql(END).bind::<SqlUuid, _>(session.0).bind::<SqlUuid, _>(user.0).bind::<Timestamptz, _>(at);
    Ok(Cached(update).execute(conn).await? == 1)
}

/// Ends the live sessions of a user but one.
pub async fn end_all_but(
    conn: &mut AsyncPgConnection,
    user: UserId,
    kept: Option<SessionId>,
    at: Timestamp,
) -> QueryResult<Vec<SessionId>> {
    const END_ALL: &str = "
        UPDATE sessions SET ended_at = $3 WHERE user_id = $1 AND ended_at IS NULL AND id <> $2
        RETURNING id";
    let kept = kept.map_or(Uuid::nil(), |kept| kept.0);
    let update = sql(END_ALL).bind::<SqlUuid, _>(user.0).bind::<SqlUuid, _>(kept).bind::<Timestamptz, _>(at);
    let ended: Vec<Id> = Cached(update).load(conn).await?;
    Ok(ended.into_iter().map(Id::session).collect())
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl Id {
    fn session(self) -> SessionId {
        SessionId(self.id)
    }
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sessions, treat_none_as_null = true)]
struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    device: Option<String>,
    started_at: DateTime<Utc>,
    refreshed_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    family_digest: Vec<u8>,
    token_digest: Vec<u8>,
    salt: Vec<u8>,
    used_digest: Option<Vec<u8>>,
    used_at: Option<DateTime<Utc>>,
}

impl SessionRow {
    fn of(record: &SessionRecord) -> Self {
        let SessionRecord { session, chain } = record;
        Self {
            id: session.id.0,
            user_id: session.user.0,
            device: session.device.as_ref().map(|device| device.as_str().to_owned()),
            started_at: session.started_at,
            refreshed_at: session.refreshed_at,
            expires_at: session.expires_at,
            family_digest: chain.family.0.to_vec(),
            token_digest: chain.current.token.0.to_vec(),
            salt: chain.current.salt.0.to_vec(),
            used_digest: chain.used.map(|(digest, _)| digest.0.to_vec()),
            used_at: chain.used.map(|(_, at)| at),
        }
    }

    fn into_record(self) -> QueryResult<SessionRecord> {
        let id = self.id;
        let bytes =
            |bytes: Vec<u8>| <[u8; SECRET_BYTES]>::try_from(bytes).map_err(|_| corrupt("digest of a session", &id));
        let device = self.device.as_deref().map(DeviceName::parse).transpose();
        let session = Session {
            id: SessionId(id),
            user: UserId(self.user_id),
            device: device.map_err(|_| corrupt("device of a session", &id))?,
            started_at: self.started_at,
            refreshed_at: self.refreshed_at,
            expires_at: self.expires_at,
        };
        let current = NextToken { salt: Salt(bytes(self.salt)?), token: SecretDigest(bytes(self.token_digest)?) };
        let used = match self.used_digest.zip(self.used_at) {
            Some((digest, at)) => Some((SecretDigest(bytes(digest)?), at)),
            None => None,
        };
        let family = SecretDigest(bytes(self.family_digest)?);
        Ok(SessionRecord { session, chain: RefreshChain { family, current, used } })
    }
}
