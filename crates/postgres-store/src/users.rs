use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::identity::{Account, DisplayName, Email, PasswordHash, User};
use encore_domain::ids::UserId;
use encore_domain::ports::{EmailTaken, Users};
use encore_domain::request::{Applied, RequestKey};
use uuid::Uuid;

use crate::codec::{read_role, role_text};
use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::requests::{self, Operation};
use crate::schema::users;

/// A statement has at most 65,535 parameters, and a user has six.
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
            if added == 0 { Err(TxError::refused(EmailTaken)) } else { Ok(Applied::Now(account.clone())) }
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

    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = users::table.find(id.0).select(UserRow::as_select());
        let row = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(UserRow::into_account).transpose().map_err(unavailable)
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = users::table.filter(users::email.eq(email.as_str())).select(UserRow::as_select());
        let row = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(UserRow::into_account).transpose().map_err(unavailable)
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
struct UserRow {
    id: Uuid,
    email: String,
    display_name: String,
    role: String,
    password_hash: String,
    created_at: DateTime<Utc>,
}

impl UserRow {
    fn of(account: &Account) -> Self {
        let User { id, email, display_name, role, created_at } = &account.user;
        Self {
            id: id.0,
            email: email.as_str().to_owned(),
            display_name: display_name.as_str().to_owned(),
            role: role_text(*role).to_owned(),
            password_hash: account.password_hash.0.clone(),
            created_at: *created_at,
        }
    }

    fn into_account(self) -> QueryResult<Account> {
        // The id is logged, not the personal data.
        let email = Email::parse(&self.email).map_err(|_| corrupt("e-mail address of a user", &self.id))?;
        let display_name =
            DisplayName::parse(&self.display_name).map_err(|_| corrupt("display name of a user", &self.id))?;
        let role = read_role(&self.role)?;
        let user = User { id: UserId(self.id), email, display_name, role, created_at: self.created_at };
        Ok(Account { user, password_hash: PasswordHash(self.password_hash) })
    }
}
