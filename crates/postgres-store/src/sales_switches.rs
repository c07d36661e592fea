use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::SalesSwitches;
use encore_domain::sales_switch::SalesSwitch;
use uuid::Uuid;

use crate::audit_log;
use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::schema::sales_switch;

/// [`SalesSwitches`] on Postgres: at most one row.
#[derive(Clone, Debug)]
pub struct PostgresSalesSwitches {
    database: Database,
}

impl PostgresSalesSwitches {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The table is locked, since there may be no row to lock: of two calls, the second sees what the first set. Reads do not wait.
    async fn try_set(&self, switch: &SalesSwitch, act: Option<&StaffAct>) -> Result<(), TxError<Unavailable>> {
        const LOCK: &str = "LOCK TABLE sales_switch IN SHARE ROW EXCLUSIVE MODE";
        let mut conn = self.database.connection().await?;
        let setting = conn.transaction(async |conn| {
            diesel::sql_query(LOCK).execute(conn).await?;
            let before = find(conn).await?;
            let row = SwitchRow {
                is_single: true,
                is_stopped: switch.is_stopped,
                reason: switch.reason.as_str().to_owned(),
                operator_id: switch.by.0,
                changed_at: switch.at,
            };
            let insert = diesel::insert_into(sales_switch::table).values(&row).on_conflict(sales_switch::is_single);
            insert.do_update().set(&row).execute(conn).await?;
            audit_log::note(conn, act.map(|act| act.set_switch(before.as_ref(), switch))).await?;
            Ok(())
        });
        setting.await
    }
}

/// The switch, if it was ever set.
async fn find(conn: &mut AsyncPgConnection) -> QueryResult<Option<SalesSwitch>> {
    let row: Option<SwitchRow> = sales_switch::table.select(SwitchRow::as_select()).first(conn).await.optional()?;
    let Some(row) = row else { return Ok(None) };
    let reason = OperatorReason::parse(&row.reason).map_err(|_| corrupt("reason", &row.reason))?;
    let (by, at) = (UserId(row.operator_id), row.changed_at);
    Ok(Some(SalesSwitch { is_stopped: row.is_stopped, reason, by, at }))
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sales_switch)]
struct SwitchRow {
    is_single: bool,
    is_stopped: bool,
    reason: String,
    operator_id: Uuid,
    changed_at: DateTime<Utc>,
}

#[async_trait]
impl SalesSwitches for PostgresSalesSwitches {
    async fn get(&self) -> Result<Option<SalesSwitch>, Unavailable> {
        let mut conn = self.database.connection().await?;
        find(&mut conn).await.map_err(unavailable)
    }

    async fn set(&self, switch: SalesSwitch, act: Option<StaffAct>) -> Result<(), Unavailable> {
        self.database.transact("sales_switches.set", || self.try_set(&switch, act.as_ref())).await
    }
}
