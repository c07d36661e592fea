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

/// The use cases of `WalletService`.
#[derive(Clone)]
pub struct WalletUseCases {
    wallets: Arc<dyn Wallets>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl WalletUseCases {
    /// The use cases over their ports.
    pub fn new(wallets: Arc<dyn Wallets>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { wallets, clock, ids }
    }

    /// The caller's balances, one per currency.
    pub async fn get_balance(&self, caller: Caller) -> Result<Vec<Money>, AppError> {
        Ok(self.wallets.balances(caller.user).await?)
    }

    /// Credits the caller's wallet at once.
    pub async fn top_up(
        &self,
        caller: Caller,
        amount: TopUpAmount,
        request: RequestKey,
    ) -> Result<WalletEntry, AppError> {
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
