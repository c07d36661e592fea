use std::collections::{BTreeMap, HashMap};

use encore_domain::ids::{TransferId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::wallet::{LedgerEntry, Transfer, WalletEntry, WalletEntryCursor};

#[derive(Default)]
pub struct WalletRecords {
    pub balances: HashMap<UserId, BTreeMap<Currency, i64>>,
    pub entries: HashMap<UserId, BTreeMap<WalletEntryCursor, WalletEntry>>,
    pub ledger_entries: HashMap<TransferId, [LedgerEntry; 2]>,
    /// Who made each credit, and why.
    pub credits: HashMap<TransferId, (UserId, OperatorReason)>,
    /// How many entries of wallets were written.
    written: i64,
}

impl WalletRecords {
    /// What a user has in a currency; zero without a wallet.
    pub fn balance(&self, user: UserId, currency: Currency) -> Money {
        let minor = self.balances.get(&user).and_then(|wallets| wallets.get(&currency)).copied().unwrap_or(0);
        Money { minor, currency }
    }

    /// Writes both sides of a transfer that was found to be in order.
    pub fn post(&mut self, transfer: &Transfer) -> WalletEntry {
        let Transfer { id, user, amount, wallet_entry, counter_entry, .. } = *transfer;
        let balance = self.balances.entry(user).or_default().entry(amount.currency).or_default();
        *balance += wallet_entry.amount_minor;
        let entry = WalletEntry::of(transfer, *balance);
        self.written += 1;
        self.entries.entry(user).or_default().insert((self.written, entry.id), entry.clone());
        self.ledger_entries.insert(id, [wallet_entry, counter_entry]);
        entry
    }
}
