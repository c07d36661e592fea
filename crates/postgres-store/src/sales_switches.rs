use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::SalesSwitches;
use encore_domain::sales_switch::SalesSwitch;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{corrupt, unavailable};
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
        let query = sales_switch::table.select(SwitchRow::as_select());
        let row: Option<SwitchRow> = query.first(&mut conn).await.optional().map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let reason = OperatorReason::parse(&row.reason).map_err(|_| unavailable(corrupt("reason", &row.reason)))?;
        let (by, at) = (UserId(row.operator_id), row.changed_at);
        Ok(Some(SalesSwitch { is_stopped: row.is_stopped, reason, by, at }))
    }

    async fn set(&self, switch: SalesSwitch) -> Result<(), Unavailable> {
        let mut conn = self.database.connection().await?;
        let row = SwitchRow {
            is_single: true,
            is_stopped: switch.is_stopped,
            reason: switch.reason.as_str().to_owned(),
            operator_id: switch.by.0,
            changed_at: switch.at,
        };
        let insert = diesel::insert_into(sales_switch::table).values(&row).on_conflict(sales_switch::is_single);
        insert.do_update().set(&row).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }
}
