//! Wallets: the prepaid balances of fans.

use std::sync::Arc;

use encore_domain::identity::Caller;
use encore_domain::ids::{EntryId, TransferId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Ids, Wallets};
use encore_domain::request::RequestKey;
use encore_domain::wallet::{TopUpAmount, Transfer, TransferIds, WalletEntry};

use crate::error::AppError;
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result;

/// The use cases of `WalletService`.
#[derive(Clone)]
pub struct WalletUseCases {
    wallets: Arc<dyn Wallets>,
    guard: QueueGuard,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl WalletUseCases {
    /// The use cases over their ports.
    pub fn new(wallets: Arc<dyn Wallets>, guard: QueueGuard, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { wallets, guard, clock, ids }
    }

    /// The caller's balances, one per currency.
    pub async fn get_balance(&self, caller: Caller) -> Result<Vec<Money>, AppError> {
        Ok(self.wallets.balances(caller.user).await?)
    }

    /// Credits the caller's wallet at once. Idempotent: a repeated request returns the first entry, whatever has become of
    /// the queue token since.
    pub async fn top_up(
        &self,
        caller: Caller,
        pass: &QueuePass,
        amount: TopUpAmount,
        request: RequestKey,
    ) -> Result<WalletEntry, AppError> {
        let credited = self.credit(caller, pass, amount, request).await;
        or_first_result(credited, || self.wallets.find_topped_up(request)).await
    }

    async fn credit(
        &self,
        caller: Caller,
        pass: &QueuePass,
        amount: TopUpAmount,
        request: RequestKey,
    ) -> Result<WalletEntry, AppError> {
        self.guard.authorize_anywhere(pass, caller).await?;
        let transfer = Transfer::top_up(transfer_ids(&*self.ids), caller.user, amount, self.clock.now());
        Ok(self.wallets.top_up(transfer, request).await?.into_inner())
    }

    /// The ledger entries of the caller's wallets, newest first.
    pub async fn list_entries(
        &self,
        caller: Caller,
        page: PageRequest<EntryId>,
    ) -> Result<Page<WalletEntry, EntryId>, AppError> {
        Ok(self.wallets.entries(caller.user, page).await?)
    }
}

pub(crate) fn transfer_ids(ids: &dyn Ids) -> TransferIds {
    TransferIds {
        transfer: TransferId(ids.next()),
        wallet_entry: EntryId(ids.next()),
        counter_entry: EntryId(ids.next()),
    }
}
