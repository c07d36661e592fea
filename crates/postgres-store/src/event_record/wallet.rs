use diesel::QueryResult;
use encore_domain::ids::UserId;
use encore_domain::wallet::WalletEntry;
use serde::{Deserialize, Serialize};

use crate::codec::{read_money, read_transfer_kind, transfer_kind_text};
use crate::event_record::{id, optional_id, time};

/// Money that moved into a wallet or out of it.
#[derive(Serialize, Deserialize)]
pub struct Moved {
    user_id: String,
    entry: EntryRecord,
}

impl Moved {
    pub fn of(user: UserId, entry: &WalletEntry) -> Self {
        Self { user_id: user.to_string(), entry: entry.into() }
    }

    pub fn read(self) -> QueryResult<(UserId, WalletEntry)> {
        Ok((id(&self.user_id)?, self.entry.read()?))
    }
}

#[derive(Serialize, Deserialize)]
struct EntryRecord {
    id: String,
    transfer_id: String,
    kind: String,
    amount_minor: i64,
    currency: String,
    balance_after_minor: i64,
    payment_id: Option<String>,
    refund_id: Option<String>,
    /// None in events that were written before entries named their request, too.
    request_id: Option<String>,
    at_ms: i64,
}

impl From<&WalletEntry> for EntryRecord {
    fn from(it: &WalletEntry) -> Self {
        Self {
            id: it.id.to_string(),
            transfer_id: it.transfer.to_string(),
            kind: transfer_kind_text(it.kind).to_owned(),
            amount_minor: it.amount.minor,
            currency: it.amount.currency.to_string(),
            balance_after_minor: it.balance_after_minor,
            payment_id: it.payment.map(|id| id.to_string()),
            refund_id: it.refund.map(|id| id.to_string()),
            request_id: it.request.map(|id| id.to_string()),
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl EntryRecord {
    fn read(self) -> QueryResult<WalletEntry> {
        Ok(WalletEntry {
            id: id(&self.id)?,
            transfer: id(&self.transfer_id)?,
            kind: read_transfer_kind(&self.kind)?,
            amount: read_money(self.amount_minor, &self.currency)?,
            balance_after_minor: self.balance_after_minor,
            payment: optional_id(self.payment_id.as_deref())?,
            refund: optional_id(self.refund_id.as_deref())?,
            request: optional_id(self.request_id.as_deref())?,
            at: time(self.at_ms)?,
        })
    }
}
