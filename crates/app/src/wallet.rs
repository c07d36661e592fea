//! Wallets: the prepaid balances of fans.

use std::sync::Arc;

use encore_domain::identity::Caller;
use encore_domain::ids::{EntryId, PaymentId, RefundId, TransferId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::refund::Refund;
use encore_domain::payment::withdrawal::WithdrawalPlan;
use encore_domain::ports::{Clock, Ids, Wallets, Withdrawals};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{TopUpAmount, Transfer, TransferIds, WalletEntry, WalletEntryCursor};

use crate::error::{AppError, Violation};
use crate::queue_guard::{QueueGuard, QueuePass};
use crate::repeats::or_first_result;

/// What fans may do to top up their wallets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopUps {
    /// Nothing.
    Off,
    /// By card.
    Gateway,
    /// By card, or for nothing: for development and rehearsals.
    #[default]
    Free,
}

/// What [`WalletUseCases`] is made of.
pub struct WalletParts {
    /// The wallets.
    pub wallets: Arc<dyn Wallets>,
    /// The withdrawals.
    pub withdrawals: Arc<dyn Withdrawals>,
    /// Lets fans pass who hold an active token.
    pub guard: QueueGuard,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `WalletService`.
#[derive(Clone)]
pub struct WalletUseCases {
    wallets: Arc<dyn Wallets>,
    withdrawals: Arc<dyn Withdrawals>,
    guard: QueueGuard,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    top_ups: TopUps,
}

impl WalletUseCases {
    /// The use cases over their ports.
    pub fn new(parts: WalletParts) -> Self {
        let WalletParts { wallets, withdrawals, guard, clock, ids } = parts;
        Self { wallets, withdrawals, guard, clock, ids, top_ups: TopUps::default() }
    }

    /// The same use cases, where fans may top up in this way.
    pub fn allowing(self, top_ups: TopUps) -> Self {
        Self { top_ups, ..self }
    }

    /// Checks whether fans may top up by card.
    pub fn check_top_up_by_card(&self) -> Result<(), AppError> {
        if self.top_ups == TopUps::Off { Err(AppError::TopUpsOff) } else { Ok(()) }
    }

    /// The entry of a top-up of the caller by card; none until the wallet is credited.
    pub async fn find_charged(&self, caller: Caller, payment: PaymentId) -> Result<Option<WalletEntry>, AppError> {
        Ok(self.wallets.find_charged(caller.user, payment).await?)
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
        match self.top_ups {
            TopUps::Off => return Err(AppError::TopUpsOff),
            TopUps::Gateway => {
                return Err(AppError::Invalid(vec![Violation::new("card", "must be set: top-ups are charged")]));
            }
            TopUps::Free => {}
        }
        self.guard.authorize_anywhere(pass, caller).await?;
        let transfer = Transfer::top_up(transfer_ids(&*self.ids), caller.user, amount, self.clock.now());
        Ok(self.wallets.top_up(transfer, request).await?.into_inner())
    }

    /// Gives some of the caller's balance back to the cards that topped it up, the latest first. Idempotent: a repeated request returns
    /// the first refunds.
    pub async fn withdraw(
        &self,
        caller: Caller,
        pass: &QueuePass,
        amount: TopUpAmount,
        request: RequestKey,
    ) -> Result<Vec<Refund>, AppError> {
        let withdrawn = match self.guard.authorize_anywhere(pass, caller).await {
            Ok(()) => {
                let parts = std::array::from_fn(|_| (RefundId(self.ids.next()), transfer_ids(&*self.ids)));
                let plan = WithdrawalPlan { user: caller.user, amount: amount.money(), parts, at: self.clock.now() };
                self.withdrawals.withdraw(plan, request).await.map(Applied::into_inner).map_err(AppError::from)
            }
            Err(refusal) => Err(refusal),
        };
        or_first_result(withdrawn, || self.withdrawals.find_withdrawn(request)).await
    }

    /// The ledger entries of the caller's wallets, newest first.
    pub async fn list_entries(
        &self,
        caller: Caller,
        page: PageRequest<WalletEntryCursor>,
    ) -> Result<Page<WalletEntry, WalletEntryCursor>, AppError> {
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
