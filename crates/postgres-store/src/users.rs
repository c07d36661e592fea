use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::identity::account_change::{DeleteRefusal, ProfileChange};
use encore_domain::identity::{Account, Email, PasswordHash, Role, User};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccountChanged, EmailTaken, Users};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;

use crate::account_changes;
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::outbox;
use crate::requests::{self, Operation};
use crate::schema::users;
use crate::user_rows::UserRow;

/// A statement has at most 65,535 parameters, and a user has nine.
const USERS_PER_STATEMENT: usize = 5_000;

/// [`Users`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresUsers {
    database: Database,
}

impl PostgresUsers {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_create(
        &self,
        account: &Account,
        request: Option<&RequestKey>,
    ) -> Result<Applied<Account>, TxError<RequestError<EmailTaken>>> {
        let mut conn = self.database.connection().await?;
        let creating = conn.transaction(async |conn| {
            let User { id, created_at, .. } = account.user;
            let known = requests::remember(conn, Operation::CreateUser, request, id.0, Some(created_at)).await?;
            if let Some(known) = known {
                let row = users::table.find(known.result_id).select(UserRow::as_select()).first(conn).await?;
                return Ok(Applied::Before(row.into_account()?));
            }
            let added = diesel::insert_into(users::table)
                .values(UserRow::of(account))
                .on_conflict(users::email)
                .do_nothing()
                .execute(conn)
                .await?;
            if added == 0 {
                return Err(TxError::refused(EmailTaken));
            }
            let request = request.map(|request| request.id);
            outbox::append(conn, &[Event::UserSignedUp { user: id, request, at: created_at }]).await?;
            Ok(Applied::Now(account.clone()))
        });
        creating.await
    }
}

#[async_trait]
impl Users for PostgresUsers {
    async fn create(
        &self,
        account: Account,
        request: Option<RequestKey>,
    ) -> Result<Applied<Account>, RequestError<EmailTaken>> {
        self.database.transact("users.create", || self.try_create(&account, request.as_ref())).await
    }

    async fn add_all(&self, accounts: Vec<Account>) -> Result<u64, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut added = 0;
        for chunk in accounts.chunks(USERS_PER_STATEMENT) {
            let rows: Vec<UserRow> = chunk.iter().map(UserRow::of).collect();
            let adding = diesel::insert_into(users::table).values(&rows).on_conflict_do_nothing();
            added += adding.execute(&mut conn).await.map_err(unavailable)?;
        }
        Ok(u64::try_from(added).unwrap_or(u64::MAX))
    }

    async fn change_profile(&self, id: UserId, change: ProfileChange) -> Result<Option<Account>, Unavailable> {
        let attempt = || account_changes::change_profile(&self.database, id, &change);
        self.database.transact("users.change_profile", attempt).await
    }

    async fn change_password(
        &self,
        checked: &Account,
        password_hash: PasswordHash,
        kept: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>> {
        let attempt = || account_changes::change_password(&self.database, checked, &password_hash, kept, at);
        self.database.transact("users.change_password", attempt).await
    }

    async fn change_role(
        &self,
        id: UserId,
        role: Role,
        at: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<Vec<SessionId>>, Unavailable> {
        let attempt = || account_changes::change_role(&self.database, id, role, at, act.as_ref());
        self.database.transact("users.change_role", attempt).await
    }

    async fn delete(
        &self,
        checked: &Account,
        gives_up_balances: bool,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<DeleteRefusal>> {
        let attempt = || account_changes::delete(&self.database, checked, gives_up_balances, at);
        self.database.transact("users.delete", attempt).await
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = users::table.find(id.0).filter(users::deleted_at.is_null()).select(UserRow::as_select());
        let row = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(UserRow::into_account).transpose().map_err(unavailable)
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_email = users::table.filter(users::email.eq(email.as_str())).filter(users::deleted_at.is_null());
        let query = of_email.select(UserRow::as_select());
        let row = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(UserRow::into_account).transpose().map_err(unavailable)
    }
}
