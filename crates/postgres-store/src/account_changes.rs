//! Changes of accounts: profile, password, role, and the end.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::event::{Event, StaffCause};
use encore_domain::identity::account_change::{DeleteRefusal, OpenBusiness, ProfileChange};
use encore_domain::identity::contact::Phone;
use encore_domain::identity::{Account, PasswordHash, Role, User};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::AccountChanged;
use encore_domain::time::Timestamp;

use crate::address_record;
use crate::audit_log;
use crate::codec::read_money;
use crate::database::Database;
use crate::email_verifications;
use crate::error::TxError;
use crate::outbox;
use crate::password_resets::forget_of;
use crate::schema::users;
use crate::sessions::end_all_but;
use crate::statement::{Cached, sql};
use crate::user_rows::UserRow;

/// The user of this id, locked until the transaction ends.
async fn locked(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<Account>> {
    let query = users::table.find(id.0).filter(users::deleted_at.is_null()).select(UserRow::as_select());
    let row: Option<UserRow> = query.for_update().first(conn).await.optional()?;
    row.map(UserRow::into_account).transpose()
}

pub async fn change_profile(
    database: &Database,
    id: UserId,
    change: &ProfileChange,
) -> Result<Option<Account>, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let changing = conn.transaction(async |conn| {
        let Some(mut account) = locked(conn, id).await? else { return Ok(None) };
        let User { display_name, contact, .. } = &mut account.user;
        change.clone().apply(display_name, contact);
        let changes = (
            users::display_name.eq(display_name.as_str()),
            users::phone.eq(contact.phone.as_ref().map(Phone::as_str)),
            users::address.eq(contact.address.as_ref().map(address_record::to_json)),
        );
        diesel::update(users::table.find(id.0)).set(changes).execute(conn).await?;
        Ok(Some(account))
    });
    changing.await
}

pub async fn change_password(
    database: &Database,
    checked: &Account,
    password_hash: &PasswordHash,
    kept: Option<SessionId>,
    at: Timestamp,
) -> Result<Vec<SessionId>, TxError<PortError<AccountChanged>>> {
    let mut conn = database.connection().await?;
    let changing = conn.transaction(async |conn| {
        let stored = locked(conn, checked.user.id).await?;
        if stored.is_none_or(|stored| stored.password_hash != checked.password_hash) {
            return Err(TxError::Port(PortError::Refused(AccountChanged)));
        }
        let row = users::table.find(checked.user.id.0);
        diesel::update(row).set(users::password_hash.eq(&password_hash.0)).execute(conn).await?;
        forget_of(conn, checked.user.id).await?;
        Ok(end_all_but(conn, checked.user.id, kept, at).await?)
    });
    changing.await
}

pub async fn change_role(
    database: &Database,
    id: UserId,
    role: Role,
    at: Timestamp,
    act: Option<&StaffAct>,
) -> Result<Option<Vec<SessionId>>, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let changing = conn.transaction(async |conn| {
        let Some(stored) = locked(conn, id).await? else { return Ok(None) };
        if stored.user.role == role {
            return Ok(Some(Vec::new()));
        }
        diesel::update(users::table.find(id.0)).set(users::role.eq(role.name())).execute(conn).await?;
        audit_log::note(conn, act.map(|act| act.changed_role(id, stored.user.role, role))).await?;
        let ended = end_all_but(conn, id, None, at).await?;
        if let Some(cause) = act.map(StaffCause::from) {
            let (before, after) = (stored.user.role, role);
            outbox::append(conn, &[Event::UserRoleChanged { user: id, before, after, cause }]).await?;
        }
        Ok(Some(ended))
    });
    changing.await
}

pub async fn delete(
    database: &Database,
    checked: &Account,
    gives_up_balances: bool,
    at: Timestamp,
) -> Result<Vec<SessionId>, TxError<PortError<DeleteRefusal>>> {
    const EMPTY: &str = "
        UPDATE users
        SET email = $2, display_name = $3, password_hash = $4, phone = NULL, address = NULL,
            email_verified_at = NULL, deleted_at = $5
        WHERE id = $1";
    const FORGET_DEVICES: &str = "UPDATE sessions SET device = NULL WHERE user_id = $1 AND ended_at IS NULL";
    let mut conn = database.connection().await?;
    let deleting = conn.transaction(async |conn| {
        let user = checked.user.id;
        let refused = |refusal| TxError::Port(PortError::Refused(refusal));
        // Payments and transfers lock the row by their foreign keys, so none begins before the end.
        let stored = locked(conn, user).await?;
        if stored.is_none_or(|stored| stored.password_hash != checked.password_hash) {
            return Err(refused(DeleteRefusal::Changed));
        }
        open_business(conn, user, at).await?.allows_deletion(gives_up_balances).map_err(refused)?;
        let (email, display_name) = User::without_person(user);
        let empty = sql(EMPTY)
            .bind::<SqlUuid, _>(user.0)
            .bind::<Text, _>(email.as_str())
            .bind::<Text, _>(display_name.as_str())
            .bind::<Text, _>(PasswordHash::of_nothing().0)
            .bind::<Timestamptz, _>(at);
        Cached(empty).execute(conn).await?;
        forget_of(conn, user).await?;
        email_verifications::forget_of(conn, user).await?;
        Cached(sql(FORGET_DEVICES).bind::<SqlUuid, _>(user.0)).execute(conn).await?;
        let ended = end_all_but(conn, user, None, at).await?;
        outbox::append(conn, &[Event::UserDeleted { user, at }]).await?;
        Ok(ended)
    });
    deleting.await
}

async fn open_business(conn: &mut AsyncPgConnection, user: UserId, now: Timestamp) -> QueryResult<OpenBusiness> {
    const COUNTS: &str = "
        SELECT
            (SELECT count(*) FROM reservations LEFT JOIN performances ON performances.id = performance_id
             WHERE user_id = $1 AND (
                 state = 'paying'
                 OR state = 'held' AND expires_at > $2
                 OR state = 'confirmed' AND performances.starts_at > $2
             )) AS reservations,
            (SELECT count(*) FROM card_payments WHERE user_id = $1 AND due_at IS NOT NULL) AS card_payments";
    const BALANCES: &str = "
        SELECT balance_minor, currency FROM wallets WHERE user_id = $1 AND balance_minor > 0 ORDER BY currency";
    #[derive(QueryableByName)]
    struct Counts {
        #[diesel(sql_type = BigInt)]
        reservations: i64,
        #[diesel(sql_type = BigInt)]
        card_payments: i64,
    }
    #[derive(QueryableByName)]
    struct Balance {
        #[diesel(sql_type = BigInt)]
        balance_minor: i64,
        #[diesel(sql_type = Text)]
        currency: String,
    }
    let counts = sql(COUNTS).bind::<SqlUuid, _>(user.0).bind::<Timestamptz, _>(now);
    let counts: Counts = Cached(counts).get_result(conn).await?;
    let balances: Vec<Balance> = Cached(sql(BALANCES).bind::<SqlUuid, _>(user.0)).load(conn).await?;
    let balances = balances.into_iter().map(|balance| read_money(balance.balance_minor, &balance.currency));
    Ok(OpenBusiness {
        reservations: u64::try_from(counts.reservations).unwrap_or(u64::MAX),
        card_payments: u64::try_from(counts.card_payments).unwrap_or(u64::MAX),
        balances: balances.collect::<QueryResult<_>>()?,
    })
}
