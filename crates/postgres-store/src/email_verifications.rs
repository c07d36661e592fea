use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::event::Event;
use encore_domain::identity::email_verification::{EmailVerification, NoSuchVerification, VERIFICATIONS_PER_USER_MAX};
use encore_domain::identity::session::SecretDigest;
use encore_domain::ids::UserId;
use encore_domain::ports::EmailVerifications;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::outbox;
use crate::statement::{Cached, sql};

/// [`EmailVerifications`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresEmailVerifications {
    database: Database,
}

#[derive(QueryableByName)]
struct OfUser {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
}

#[derive(QueryableByName)]
struct EmailVerificationRow {
    #[diesel(sql_type = Binary)]
    digest: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    made_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
}

impl EmailVerificationRow {
    fn of(self, user: UserId) -> QueryResult<EmailVerification> {
        let Self { digest, made_at, expires_at } = self;
        let digest = digest.try_into().map_err(|_| corrupt("digest of a mailed token", &user))?;
        Ok(EmailVerification { digest: SecretDigest(digest), user, made_at, expires_at })
    }
}

impl PostgresEmailVerifications {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_add(&self, verification: &EmailVerification) -> Result<(), TxError<Unavailable>> {
        const ADD: &str =
            "INSERT INTO email_verifications (digest, user_id, made_at, expires_at) VALUES ($1, $2, $3, $4)";
        const KEEP_LATEST: &str = "
            DELETE FROM email_verifications WHERE digest = ANY (ARRAY(
                SELECT digest FROM email_verifications WHERE user_id = $1 ORDER BY made_at DESC, digest OFFSET $2
            ))";
        let mut conn = self.database.connection().await?;
        let adding = conn.transaction(async |conn| {
            let user = verification.user.0;
            lock_user(conn, user).await?;
            let add = sql(ADD)
                .bind::<Binary, _>(verification.digest.0.to_vec())
                .bind::<SqlUuid, _>(user)
                .bind::<Timestamptz, _>(verification.made_at)
                .bind::<Timestamptz, _>(verification.expires_at);
            Cached(add).execute(conn).await?;
            let kept = i64::try_from(VERIFICATIONS_PER_USER_MAX).unwrap_or(i64::MAX);
            let keep = sql(KEEP_LATEST).bind::<SqlUuid, _>(user).bind::<BigInt, _>(kept);
            Cached(keep).execute(conn).await?;
            Ok(())
        });
        adding.await
    }

    async fn try_verify(
        &self,
        digest: SecretDigest,
        at: Timestamp,
    ) -> Result<UserId, TxError<PortError<NoSuchVerification>>> {
        const FIND: &str = "SELECT user_id FROM email_verifications WHERE digest = $1 AND expires_at > $2";
        // Whoever deletes the row verifies the address.
        const USE: &str = "DELETE FROM email_verifications WHERE digest = $1";
        let mut conn = self.database.connection().await?;
        let verifying = conn.transaction(async |conn| {
            let refused = TxError::Port(PortError::Refused(NoSuchVerification));
            let find = sql(FIND).bind::<Binary, _>(digest.0.to_vec()).bind::<Timestamptz, _>(at);
            let Some(OfUser { user_id }) = Cached(find).get_result(conn).await.optional()? else { return Err(refused) };
            // Before the row is deleted: whoever deletes the user has the locks in this order, too.
            let lives = lock_user(conn, user_id).await?;
            let used = Cached(sql(USE).bind::<Binary, _>(digest.0.to_vec())).execute(conn).await?;
            if !lives || used == 0 {
                return Err(refused);
            }
            verify_email(conn, UserId(user_id), at).await?;
            Ok(UserId(user_id))
        });
        verifying.await
    }
}

#[async_trait]
impl EmailVerifications for PostgresEmailVerifications {
    async fn add(&self, verification: EmailVerification) -> Result<(), Unavailable> {
        self.database.transact("email_verifications.add", || self.try_add(&verification)).await
    }

    async fn verify(&self, digest: SecretDigest, at: Timestamp) -> Result<UserId, PortError<NoSuchVerification>> {
        self.database.transact("email_verifications.verify", || self.try_verify(digest, at)).await
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<EmailVerification>, Unavailable> {
        const OF_USER: &str = "
            SELECT digest, made_at, expires_at FROM email_verifications WHERE user_id = $1 ORDER BY made_at DESC, digest";
        let mut conn = self.database.connection().await?;
        let query = Cached(sql(OF_USER).bind::<SqlUuid, _>(user.0));
        let rows: Vec<EmailVerificationRow> = query.load(&mut conn).await.map_err(unavailable)?;
        rows.into_iter().map(|row| row.of(user)).collect::<QueryResult<_>>().map_err(unavailable)
    }

    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        const FORGET: &str = "
            DELETE FROM email_verifications WHERE digest = ANY (ARRAY(
                SELECT digest FROM email_verifications WHERE expires_at <= $1
                ORDER BY expires_at
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))";
        let mut conn = self.database.connection().await?;
        let forget = sql(FORGET).bind::<Timestamptz, _>(expired_by).bind::<BigInt, _>(i64::from(limit));
        Ok(Cached(forget).execute(&mut conn).await.map_err(unavailable)? as u64)
    }
}

/// Orders the calls of a user. False if the user was deleted.
async fn lock_user(conn: &mut AsyncPgConnection, user: Uuid) -> QueryResult<bool> {
    const LOCK: &str = "SELECT id AS user_id FROM users WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE";
    let locked: Vec<OfUser> = Cached(sql(LOCK).bind::<SqlUuid, _>(user)).load(conn).await?;
    Ok(!locked.is_empty())
}

/// Notes that a user receives mails at the address. The first time counts.
pub async fn verify_email(conn: &mut AsyncPgConnection, user: UserId, at: Timestamp) -> QueryResult<()> {
    const VERIFY: &str = "
        UPDATE users SET email_verified_at = $2
        WHERE id = $1 AND email_verified_at IS NULL AND deleted_at IS NULL";
    let verify = sql(VERIFY).bind::<SqlUuid, _>(user.0).bind::<Timestamptz, _>(at);
    let is_first = Cached(verify).execute(conn).await? > 0;
    forget_of(conn, user).await?;
    if is_first {
        outbox::append(conn, &[Event::UserEmailVerified { user, at }]).await?;
    }
    Ok(())
}

/// Deletes the verifications of a user.
pub async fn forget_of(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<()> {
    const FORGET: &str = "DELETE FROM email_verifications WHERE user_id = $1";
    Cached(sql(FORGET).bind::<SqlUuid, _>(user.0)).execute(conn).await?;
    Ok(())
}
