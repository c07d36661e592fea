use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::PasswordHash;
use encore_domain::identity::password_reset::{NoSuchReset, PasswordReset, RESETS_PER_USER_MAX};
use encore_domain::identity::session::SecretDigest;
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::PasswordResets;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::database::Database;
use crate::email_verifications::verify_email;
use crate::error::{TxError, corrupt, unavailable};
use crate::sessions::end_all_but;
use crate::statement::{Cached, sql};

/// [`PasswordResets`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresPasswordResets {
    database: Database,
}

#[derive(QueryableByName)]
struct OfUser {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
}

#[derive(QueryableByName)]
struct PasswordResetRow {
    #[diesel(sql_type = Binary)]
    digest: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    made_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
}

impl PasswordResetRow {
    fn of(self, user: UserId) -> QueryResult<PasswordReset> {
        let Self { digest, made_at, expires_at } = self;
        let digest = digest.try_into().map_err(|_| corrupt("digest of a mailed token", &user))?;
        Ok(PasswordReset { digest: SecretDigest(digest), user, made_at, expires_at })
    }
}

impl PostgresPasswordResets {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_add(&self, reset: &PasswordReset) -> Result<(), TxError<Unavailable>> {
        // The lock of the user orders the calls.
        const LOCK: &str = "SELECT id AS user_id FROM users WHERE id = $1 FOR NO KEY UPDATE";
        const ADD: &str = "INSERT INTO password_resets (digest, user_id, made_at, expires_at) VALUES ($1, $2, $3, $4)";
        const KEEP_LATEST: &str = "
            DELETE FROM password_resets WHERE digest = ANY (ARRAY(
                SELECT digest FROM password_resets WHERE user_id = $1 ORDER BY made_at DESC, digest OFFSET $2
            ))";
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let user = reset.user.0;
            let _locked: Vec<OfUser> = Cached(sql(LOCK).bind::<SqlUuid, _>(user)).load(conn).await?;
            let add = sql(ADD)
                .bind::<Binary, _>(reset.digest.0.to_vec())
                .bind::<SqlUuid, _>(user)
                .bind::<Timestamptz, _>(reset.made_at)
                .bind::<Timestamptz, _>(reset.expires_at);
            Cached(add).execute(conn).await?;
            let kept = i64::try_from(RESETS_PER_USER_MAX).unwrap_or(i64::MAX);
            let keep = sql(KEEP_LATEST).bind::<SqlUuid, _>(user).bind::<BigInt, _>(kept);
            Cached(keep).execute(conn).await?;
            Ok(())
        });
        adding.await
    }

    async fn try_set_password(
        &self,
        digest: SecretDigest,
        password_hash: &PasswordHash,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, TxError<PortError<NoSuchReset>>> {
        // Whoever deletes the row sets the password.
        const USE: &str = "DELETE FROM password_resets WHERE digest = $1 AND expires_at > $2 RETURNING user_id";
        const SET: &str = "UPDATE users SET password_hash = $2 WHERE id = $1 AND deleted_at IS NULL";
        let mut conn = self.database.connection().await?;
        let setting = conn.transaction(async |conn| {
            let refused = TxError::Port(PortError::Refused(NoSuchReset));
            let used = sql(USE).bind::<Binary, _>(digest.0.to_vec()).bind::<Timestamptz, _>(at);
            let Some(OfUser { user_id }) = Cached(used).get_result(conn).await.optional()? else { return Err(refused) };
            let set = sql(SET).bind::<SqlUuid, _>(user_id).bind::<Text, _>(&password_hash.0);
            if Cached(set).execute(conn).await? == 0 {
                return Err(refused);
            }
            let user = UserId(user_id);
            forget_of(conn, user).await?;
            let ended = end_all_but(conn, user, None, at).await?;
            verify_email(conn, user, at).await?;
            Ok(ended)
        });
        setting.await
    }
}

#[async_trait]
impl PasswordResets for PostgresPasswordResets {
    async fn add(&self, reset: PasswordReset) -> Result<(), Unavailable> {
        self.database.transact("password_resets.add", || self.try_add(&reset)).await
    }

    async fn find(&self, digest: SecretDigest, at: Timestamp) -> Result<Option<UserId>, Unavailable> {
        const FIND: &str = "
            SELECT user_id FROM password_resets JOIN users ON users.id = user_id
            WHERE digest = $1 AND expires_at > $2 AND deleted_at IS NULL";
        let mut conn = self.database.connection().await?;
        let find = sql(FIND).bind::<Binary, _>(digest.0.to_vec()).bind::<Timestamptz, _>(at);
        let found: Option<OfUser> = Cached(find).get_result(&mut conn).await.optional().map_err(unavailable)?;
        Ok(found.map(|found| UserId(found.user_id)))
    }

    async fn set_password(
        &self,
        digest: SecretDigest,
        password_hash: PasswordHash,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<NoSuchReset>> {
        let attempt = || self.try_set_password(digest, &password_hash, at);
        self.database.transact("password_resets.set_password", attempt).await
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<PasswordReset>, Unavailable> {
        const OF_USER: &str = "
            SELECT digest, made_at, expires_at FROM password_resets WHERE user_id = $1 ORDER BY made_at DESC, digest";
        let mut conn = self.database.connection().await?;
        let query = Cached(sql(OF_USER).bind::<SqlUuid, _>(user.0));
        let rows: Vec<PasswordResetRow> = query.load(&mut conn).await.map_err(unavailable)?;
        rows.into_iter().map(|row| row.of(user)).collect::<QueryResult<_>>().map_err(unavailable)
    }

    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        const FORGET: &str = "
            DELETE FROM password_resets WHERE digest = ANY (ARRAY(
                SELECT digest FROM password_resets WHERE expires_at <= $1
                ORDER BY expires_at
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))";
        let mut conn = self.database.connection().await?;
        let forget = sql(FORGET).bind::<Timestamptz, _>(expired_by).bind::<BigInt, _>(i64::from(limit));
        Ok(Cached(forget).execute(&mut conn).await.map_err(unavailable)? as u64)
    }
}

/// Deletes the resets of a user.
pub async fn forget_of(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<()> {
    const FORGET: &str = "DELETE FROM password_resets WHERE user_id = $1";
    Cached(sql(FORGET).bind::<SqlUuid, _>(user.0)).execute(conn).await?;
    Ok(())
}
