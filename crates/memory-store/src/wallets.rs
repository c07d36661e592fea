use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, TransferId, UserId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::{WalletCredits, Wallets};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{
    Account, LedgerEntry, TopUpRefusal, Transfer, TransferKind, WalletEntry, WalletEntryCursor,
};

use crate::paging::{below, rows};
use crate::records::{MemoryRecords, Records};

/// [`Wallets`] in process.
pub struct MemoryWallets(MemoryRecords);

impl MemoryWallets {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Wallets for MemoryWallets {
    async fn top_up(
        &self,
        transfer: Transfer,
        request: RequestKey,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        let Records { wallets, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let Transfer { user, amount, .. } = transfer;
        let balance = wallets.balance(user, amount.currency);
        if balance.minor.saturating_add(amount.minor) > amount.currency.balance_max_minor() {
            return Err(RequestError::Refused(TopUpRefusal::WalletFull(amount.currency)));
        }
        let entry = wallets.post(&transfer.clone().for_request(request.id));
        outbox.write(&Event::WalletToppedUp { user, entry: entry.clone() });
        requests.remember(Some(request), entry.clone());
        Ok(Applied::Now(entry))
    }

    async fn find_topped_up(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn find_charged(&self, user: UserId, payment: PaymentId) -> Result<Option<WalletEntry>, Unavailable> {
        let entries = &self.0.lock().wallets.entries;
        let mut of_user = entries.get(&user).into_iter().flat_map(|entries| entries.values());
        let is_it = |it: &&WalletEntry| it.kind == TransferKind::TopUp && it.payment == Some(payment);
        Ok(of_user.find(is_it).cloned())
    }

    async fn balances(&self, user: UserId) -> Result<Vec<Money>, Unavailable> {
        let balances = &self.0.lock().wallets.balances;
        let wallets = balances.get(&user).into_iter().flatten();
        Ok(wallets.map(|(currency, minor)| Money { minor: *minor, currency: *currency }).collect())
    }

    async fn entries(
        &self,
        user: UserId,
        page: PageRequest<WalletEntryCursor>,
    ) -> Result<Page<WalletEntry, WalletEntryCursor>, Unavailable> {
        let entries = &self.0.lock().wallets.entries;
        let of_user = entries.get(&user).into_iter().flat_map(|entries| entries.range(below(&page)).rev());
        let found = of_user.take(rows(&page)).map(|(cursor, entry)| (*cursor, entry.clone())).collect();
        Ok(Page::from_rows(found, page.size, |(cursor, _)| *cursor).map(|(_, entry)| entry))
    }

    async fn ledger_entries(&self, transfer: TransferId) -> Result<Vec<LedgerEntry>, Unavailable> {
        Ok(self.0.lock().wallets.ledger_entries.get(&transfer).map(|entries| entries.to_vec()).unwrap_or_default())
    }
}

#[async_trait]
impl WalletCredits for MemoryWallets {
    async fn credit(
        &self,
        transfer: Transfer,
        reason: OperatorReason,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        let Records { wallets, outbox, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let Transfer { user, amount, .. } = transfer;
        let balance = wallets.balance(user, amount.currency);
        if balance.minor.saturating_add(amount.minor) > amount.currency.balance_max_minor() {
            return Err(RequestError::Refused(TopUpRefusal::WalletFull(amount.currency)));
        }
        let entry = wallets.post(&transfer.clone().for_request(request.id));
        if let Account::Operator(operator) = transfer.counter_entry.account {
            wallets.credits.insert(transfer.id, (operator, reason));
        }
        outbox.write(&Event::WalletToppedUp { user, entry: entry.clone() });
        audit_log.note(act.map(|act| act.credited(user, &entry)));
        requests.remember(Some(request), entry.clone());
        Ok(Applied::Now(entry))
    }

    async fn find_credited(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }
}
