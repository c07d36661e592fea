use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{EntryId, PaymentId, TransferId, UserId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Wallets;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{LedgerEntry, TopUpRefusal, Transfer, TransferKind, WalletEntry, WalletEntryCursor};

use crate::batcher::{BATCH_MAX, Batcher};
use crate::codec::{read_money, transfer_kind_text};
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::ledger;
use crate::requests::{self, Operation};
use crate::schema::{ledger_entries, transfers, wallets};
use crate::topping_up::{TopUp, TopUpAnswer, top_up_all};
use crate::wallet_rows::{EntryRow, find_entries, wallet_entries};

/// [`Wallets`] on Postgres: wallets and the ledger. Top-ups are batched.
#[derive(Clone, Debug)]
pub struct PostgresWallets {
    database: Database,
    topping_up: Batcher<TopUp, TopUpAnswer>,
}

impl PostgresWallets {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        let topping_up = database.clone();
        Self {
            database,
            topping_up: Batcher::new("top_up", BATCH_MAX, move |top_ups: Arc<[TopUp]>| {
                let database = topping_up.clone();
                Box::pin(async move { top_up_all(&database, &top_ups).await })
            }),
        }
    }

    async fn try_find_topped_up(
        &self,
        request: &RequestKey,
    ) -> Result<Option<WalletEntry>, TxError<RequestError<Infallible>>> {
        let conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::TopUp], request).await? {
            Some(known) => Ok(find_entries(&conn, &[known.result_id]).await?.remove(&known.result_id)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Wallets for PostgresWallets {
    async fn top_up(
        &self,
        transfer: Transfer,
        request: RequestKey,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        self.topping_up.submit(TopUp { transfer: transfer.for_request(request.id), request }).await?
    }

    async fn find_topped_up(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.database.transact("wallets.find_topped_up", || self.try_find_topped_up(&request)).await
    }

    async fn find_charged(&self, user: UserId, payment: PaymentId) -> Result<Option<WalletEntry>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = wallet_entries().filter(ledger_entries::owner_id.eq(user.0));
        let of_payment = of_user.filter(transfers::payment_id.eq(payment.0));
        let query = of_payment.filter(transfers::kind.eq(transfer_kind_text(TransferKind::TopUp)));
        let row: Option<EntryRow> = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(EntryRow::into_entry).transpose().map_err(unavailable)
    }

    async fn balances(&self, user: UserId) -> Result<Vec<Money>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let rows: Vec<(i64, String)> = wallets::table
            .filter(wallets::user_id.eq(user.0))
            .order(wallets::currency)
            .select((wallets::balance_minor, wallets::currency))
            .load(&mut conn)
            .await
            .map_err(unavailable)?;
        let balances = rows.into_iter().map(|(minor, currency)| read_money(minor, &currency));
        balances.collect::<QueryResult<_>>().map_err(unavailable)
    }

    async fn entries(
        &self,
        user: UserId,
        page: PageRequest<WalletEntryCursor>,
    ) -> Result<Page<WalletEntry, WalletEntryCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut query = wallet_entries().filter(ledger_entries::owner_id.eq(user.0)).into_boxed();
        if let Some((position, EntryId(id))) = page.after {
            let tied = ledger_entries::position.eq(position).and(ledger_entries::id.lt(id));
            // The first condition is that of the index, the second one is exact.
            query = query.filter(ledger_entries::position.le(position));
            query = query.filter(ledger_entries::position.lt(position).or(tied));
        }
        let query = query.order((ledger_entries::position.desc(), ledger_entries::id.desc()));
        let rows: Vec<EntryRow> = query.limit(i64::from(page.size) + 1).load(&mut conn).await.map_err(unavailable)?;
        let Page { items, next } = Page::from_rows(rows, page.size, EntryRow::cursor);
        let items = items.into_iter().map(EntryRow::into_entry).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page { items, next })
    }

    async fn ledger_entries(&self, transfer: TransferId) -> Result<Vec<LedgerEntry>, Unavailable> {
        let mut conn = self.database.connection().await?;
        ledger::of_transfer(&mut conn, transfer.0).await.map_err(unavailable)
    }
}
