//! Wallets and the double-entry ledger behind them.

use thiserror::Error;

use crate::ids::{EntryId, PaymentId, PerformanceId, RefundId, RequestId, TransferId, UserId};
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// The kinds of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// The payment gateway, from which top-ups come.
    Gateway,
    /// The prepaid balance of a fan.
    Wallet(UserId),
    /// The sales of a performance.
    Sales(PerformanceId),
    /// An operator, who credits wallets.
    Operator(UserId),
}

/// The kinds of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// Gateway → wallet.
    TopUp,
    /// Wallet → sales.
    Payment,
    /// Sales → wallet.
    Refund,
    /// Gateway → wallet, for a payment by card that is made in the same transaction.
    Charge,
    /// Wallet → gateway, for a refund to a card.
    CardRefund,
    /// Gateway → wallet: a refund to a card that came back.
    Returned,
    /// Operator → wallet.
    OperatorCredit,
}

/// One side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Made with the transfer.
    pub id: EntryId,
    /// Whose side.
    pub account: Account,
    /// Minor units; positive when the account receives.
    pub amount_minor: i64,
}

/// A transfer of money. Its two entries sum to zero by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Made with the transfer.
    pub id: TransferId,
    /// Why.
    pub kind: TransferKind,
    /// The fan whose wallet is one of the sides.
    pub user: UserId,
    /// The amount; positive.
    pub amount: Money,
    /// The wallet's side.
    pub wallet_entry: LedgerEntry,
    /// The other side.
    pub counter_entry: LedgerEntry,
    /// The payment that it is about, if there is one.
    pub payment: Option<PaymentId>,
    /// The refund that it is about, if there is one.
    pub refund: Option<RefundId>,
    /// The request that it goes back to: of the call that moved the money, or that began the attempt to pay by card. None where the
    /// gateway moved it later.
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
}

/// The ids that a transfer needs.
#[derive(Clone, Copy, Debug)]
pub struct TransferIds {
    /// Of the transfer.
    pub transfer: TransferId,
    /// Of the wallet's entry.
    pub wallet_entry: EntryId,
    /// Of the other entry.
    pub counter_entry: EntryId,
}

impl Transfer {
    /// A transfer from the gateway to a wallet.
    pub fn top_up(ids: TransferIds, user: UserId, amount: TopUpAmount, at: Timestamp) -> Self {
        Self::into_wallet(ids, TransferKind::TopUp, user, amount.0, Account::Gateway, at)
    }

    /// A transfer from an operator to a wallet.
    pub fn operator_credit(
        ids: TransferIds,
        user: UserId,
        operator: UserId,
        amount: TopUpAmount,
        at: Timestamp,
    ) -> Self {
        Self::into_wallet(ids, TransferKind::OperatorCredit, user, amount.0, Account::Operator(operator), at)
    }

    /// A transfer from a wallet to the sales of a performance.
    pub fn payment(
        ids: TransferIds,
        user: UserId,
        performance: PerformanceId,
        amount: Money,
        payment: PaymentId,
        at: Timestamp,
    ) -> Self {
        let sales = Account::Sales(performance);
        Self { payment: Some(payment), ..Self::out_of_wallet(ids, TransferKind::Payment, user, amount, sales, at) }
    }

    /// A transfer from the sales of a performance to the wallet that paid.
    pub fn refund(
        ids: TransferIds,
        user: UserId,
        performance: PerformanceId,
        amount: Money,
        (payment, refund): (PaymentId, RefundId),
        at: Timestamp,
    ) -> Self {
        let sales = Account::Sales(performance);
        let transfer = Self::into_wallet(ids, TransferKind::Refund, user, amount, sales, at);
        Self { payment: Some(payment), refund: Some(refund), ..transfer }
    }

    /// A transfer from the gateway to a wallet, which pays with it at once.
    pub fn charge(ids: TransferIds, user: UserId, amount: Money, payment: PaymentId, at: Timestamp) -> Self {
        let transfer = Self::into_wallet(ids, TransferKind::Charge, user, amount, Account::Gateway, at);
        Self { payment: Some(payment), ..transfer }
    }

    /// A top-up that was charged to a card.
    pub fn charged_top_up(ids: TransferIds, user: UserId, amount: Money, payment: PaymentId, at: Timestamp) -> Self {
        let transfer = Self::into_wallet(ids, TransferKind::TopUp, user, amount, Account::Gateway, at);
        Self { payment: Some(payment), ..transfer }
    }

    /// A transfer from a wallet to the gateway, which gives it back to the card.
    pub fn card_refund(
        ids: TransferIds,
        user: UserId,
        amount: Money,
        (payment, refund): (PaymentId, RefundId),
        at: Timestamp,
    ) -> Self {
        let transfer = Self::out_of_wallet(ids, TransferKind::CardRefund, user, amount, Account::Gateway, at);
        Self { payment: Some(payment), refund: Some(refund), ..transfer }
    }

    /// A transfer from the gateway to a wallet: a refund to a card that came back.
    pub fn returned(
        ids: TransferIds,
        user: UserId,
        amount: Money,
        (payment, refund): (PaymentId, RefundId),
        at: Timestamp,
    ) -> Self {
        let transfer = Self::into_wallet(ids, TransferKind::Returned, user, amount, Account::Gateway, at);
        Self { payment: Some(payment), refund: Some(refund), ..transfer }
    }

    fn into_wallet(
        ids: TransferIds,
        kind: TransferKind,
        user: UserId,
        amount: Money,
        counter: Account,
        at: Timestamp,
    ) -> Self {
        let entry = |id, account, amount_minor| LedgerEntry { id, account, amount_minor };
        Self {
            id: ids.transfer,
            kind,
            user,
            amount,
            wallet_entry: entry(ids.wallet_entry, Account::Wallet(user), amount.minor),
            counter_entry: entry(ids.counter_entry, counter, -amount.minor),
            payment: None,
            refund: None,
            request: None,
            at,
        }
    }

    /// The same transfer, which goes back to this request.
    pub fn for_request(self, request: RequestId) -> Self {
        Self { request: Some(request), ..self }
    }

    fn out_of_wallet(
        ids: TransferIds,
        kind: TransferKind,
        user: UserId,
        amount: Money,
        counter: Account,
        at: Timestamp,
    ) -> Self {
        let mut transfer = Self::into_wallet(ids, kind, user, amount, counter, at);
        transfer.wallet_entry.amount_minor = -amount.minor;
        transfer.counter_entry.amount_minor = amount.minor;
        transfer
    }
}

/// The amount of a top-up: positive and at most [`Currency::top_up_max_minor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUpAmount(Money);

/// The amount cannot be topped up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {} minor units of {_0}", .0.top_up_max_minor())]
pub struct NotATopUpAmount(pub Currency);

impl TopUpAmount {
    /// Checks an amount.
    pub fn parse(money: Money) -> Result<Self, NotATopUpAmount> {
        let fits = (1..=money.currency.top_up_max_minor()).contains(&money.minor);
        if fits { Ok(Self(money)) } else { Err(NotATopUpAmount(money.currency)) }
    }

    /// The amount.
    pub fn money(self) -> Money {
        self.0
    }
}

/// A wallet's side of a transfer, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletEntry {
    /// Of the wallet's entry.
    pub id: EntryId,
    /// The transfer.
    pub transfer: TransferId,
    /// Why.
    pub kind: TransferKind,
    /// Positive when the wallet received.
    pub amount: Money,
    /// The wallet's balance after it, in minor units.
    pub balance_after_minor: i64,
    /// The payment that the transfer is about, if there is one.
    pub payment: Option<PaymentId>,
    /// The refund that the transfer is about, if there is one.
    pub refund: Option<RefundId>,
    /// The request that the transfer goes back to; see [`Transfer::request`]. The event of a top-up does not tell it.
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
}

/// The position in a listing of a fan's entries, which is in the order in which they were written: that of the balances. The listing
/// continues with those of a lower position, or of the same and with a lower id.
pub type WalletEntryCursor = (i64, EntryId);

impl WalletEntry {
    /// The wallet's balance after it.
    pub fn balance_after(&self) -> Money {
        Money { minor: self.balance_after_minor, currency: self.amount.currency }
    }

    /// The wallet entry of a transfer.
    pub fn of(transfer: &Transfer, balance_after_minor: i64) -> Self {
        Self {
            id: transfer.wallet_entry.id,
            transfer: transfer.id,
            kind: transfer.kind,
            amount: Money { minor: transfer.wallet_entry.amount_minor, currency: transfer.amount.currency },
            balance_after_minor,
            payment: transfer.payment,
            refund: transfer.refund,
            request: transfer.request,
            at: transfer.at,
        }
    }
}

/// Why a top-up was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopUpRefusal {
    /// The balance would exceed [`Currency::balance_max_minor`].
    #[error("the balance of a wallet may be at most {} minor units of {_0}", .0.balance_max_minor())]
    WalletFull(Currency),
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn money(minor: i64) -> Money {
        Money { minor, currency: Currency::parse("EUR").expect("a currency") }
    }

    #[test]
    fn both_sides_of_a_transfer_sum_to_zero() {
        let ids = TransferIds {
            transfer: TransferId(Uuid::nil()),
            wallet_entry: EntryId(Uuid::nil()),
            counter_entry: EntryId(Uuid::max()),
        };
        let user = UserId(Uuid::nil());
        let at = Timestamp::UNIX_EPOCH;
        let amount = TopUpAmount::parse(money(500)).expect("in bounds");
        let top_up = Transfer::top_up(ids, user, amount, at);
        assert_eq!((top_up.wallet_entry.amount_minor, top_up.counter_entry.amount_minor), (500, -500));
        let sales = PerformanceId(Uuid::nil());
        let payment = Transfer::payment(ids, user, sales, money(300), PaymentId(Uuid::nil()), at);
        assert_eq!((payment.wallet_entry.amount_minor, payment.counter_entry.amount_minor), (-300, 300));
        let refunded = (PaymentId(Uuid::nil()), RefundId(Uuid::nil()));
        let refund = Transfer::refund(ids, user, sales, money(300), refunded, at);
        assert_eq!((refund.wallet_entry.amount_minor, refund.counter_entry.amount_minor), (300, -300));
    }

    #[test]
    fn a_top_up_is_positive_and_bounded() {
        let max = money(0).currency.top_up_max_minor();
        for minor in [i64::MIN, -1, 0, max + 1, i64::MAX] {
            let refusal = NotATopUpAmount(money(0).currency);
            assert_eq!(TopUpAmount::parse(money(minor)), Err(refusal), "{minor}");
        }
        assert!(TopUpAmount::parse(money(max)).is_ok());
    }
}
