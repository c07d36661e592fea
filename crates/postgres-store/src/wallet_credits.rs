use std::collections::BTreeMap;
use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::WalletCredits;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{TopUpRefusal, Transfer, WalletEntry};
use uuid::Uuid;

use crate::database::Database;
use crate::error::TxError;
use crate::requests::{self, Operation};
use crate::schema::wallet_credits;
use crate::wallet_rows::{self, WalletKey};
use crate::{audit_log, ledger, outbox};

/// [`WalletCredits`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresWalletCredits {
    database: Database,
}

impl PostgresWalletCredits {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_credit(
        &self,
        transfer: &Transfer,
        reason: &OperatorReason,
        request: &RequestKey,
        act: Option<&StaffAct>,
    ) -> Result<Applied<WalletEntry>, TxError<RequestError<TopUpRefusal>>> {
        let mut conn = self.database.connection().await?;
        let crediting = conn.transaction(async |conn| {
            let (operation, entry) = (Operation::CreditWallet, transfer.wallet_entry.id.0);
            if let Some(known) = requests::remember(conn, operation, Some(request), entry, Some(transfer.at)).await? {
                return Ok(Applied::Before(find_entry(conn, known.result_id).await?));
            }
            let wallet = WalletKey { currency: transfer.amount.currency, user: transfer.user };
            let credited = wallet_rows::credit_all(conn, &BTreeMap::from([(wallet, transfer.amount.minor)])).await?;
            let Some(balance_minor) = credited.get(&wallet).copied() else {
                return Err(TxError::refused(TopUpRefusal::WalletFull(wallet.currency)));
            };
            ledger::record(conn, &[(transfer, balance_minor)]).await?;
            let row = (
                wallet_credits::transfer_id.eq(transfer.id.0),
                wallet_credits::operator_id.eq(request.user.0),
                wallet_credits::reason.eq(reason.as_str()),
            );
            diesel::insert_into(wallet_credits::table).values(row).execute(conn).await?;
            let entry = WalletEntry::of(transfer, balance_minor);
            outbox::append(conn, &[Event::WalletToppedUp { user: transfer.user, entry: entry.clone() }]).await?;
            audit_log::note(conn, act.map(|act| act.credited(transfer.user, &entry))).await?;
            Ok(Applied::Now(entry))
        });
        crediting.await
    }

    async fn try_find_credited(
        &self,
        request: &RequestKey,
    ) -> Result<Option<WalletEntry>, TxError<RequestError<Infallible>>> {
        let conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::CreditWallet], request).await? {
            Some(known) => Ok(Some(find_entry(&conn, known.result_id).await?)),
            None => Ok(None),
        }
    }
}

async fn find_entry(conn: &AsyncPgConnection, id: Uuid) -> QueryResult<WalletEntry> {
    wallet_rows::find_entries(conn, &[id]).await?.remove(&id).ok_or(diesel::result::Error::NotFound)
}

#[async_trait]
impl WalletCredits for PostgresWalletCredits {
    async fn credit(
        &self,
        transfer: Transfer,
        reason: OperatorReason,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        let transfer = transfer.for_request(request.id);
        let attempt = || self.try_credit(&transfer, &reason, &request, act.as_ref());
        self.database.transact("wallet_credits.credit", attempt).await
    }

    async fn find_credited(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.database.transact("wallet_credits.find", || self.try_find_credited(&request)).await
    }
}
