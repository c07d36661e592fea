//! What a performance took, gave back and is due.

use std::fmt::Write;

use crate::ids::PerformanceId;
use crate::money::{Currency, Money};
use crate::payment::PaymentMethod;

/// What was paid and given back by one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettlementItem {
    /// How many payments.
    pub payments: u32,
    /// What they paid, in minor units.
    pub sold_minor: i64,
    /// How many refunds of cancelled seats.
    pub refunds: u32,
    /// What they gave back, without the fees that were kept, in minor units.
    pub refunded_minor: i64,
    /// What was kept of cancelled seats, in minor units. It is a part of what is due.
    pub fees_minor: i64,
}

/// The money of a performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub performance: PerformanceId,
    /// Its prices are in this currency.
    pub currency: Currency,
    /// From wallets.
    pub wallet: SettlementItem,
    /// By card.
    pub card: SettlementItem,
    /// How many refunds to cards are not final yet.
    pub open_refunds: u32,
    /// How many charges are disputed, and not decided.
    pub open_disputes: u32,
    /// How many disputes were lost: their money is with the cardholder. What is due contains it until the seats are cancelled.
    pub lost_disputes: u32,
}

impl SettlementItem {
    /// What is due, in minor units: what was sold, less what was given back.
    pub fn due_minor(&self) -> i64 {
        self.sold_minor - self.refunded_minor
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            payments: self.payments + other.payments,
            sold_minor: self.sold_minor + other.sold_minor,
            refunds: self.refunds + other.refunds,
            refunded_minor: self.refunded_minor + other.refunded_minor,
            fees_minor: self.fees_minor + other.fees_minor,
        }
    }
}

impl Settlement {
    /// Of a performance that sold nothing.
    pub fn of(performance: PerformanceId, currency: Currency) -> Self {
        let (wallet, card) = (SettlementItem::default(), SettlementItem::default());
        Self { performance, currency, wallet, card, open_refunds: 0, open_disputes: 0, lost_disputes: 0 }
    }

    /// One per method.
    pub fn items(&self) -> [(PaymentMethod, &SettlementItem); 2] {
        [(PaymentMethod::Wallet, &self.wallet), (PaymentMethod::Card, &self.card)]
    }

    /// All methods together.
    pub fn sum(&self) -> SettlementItem {
        self.wallet.plus(&self.card)
    }

    /// An amount in the currency of the performance.
    pub fn money(&self, minor: i64) -> Money {
        Money { minor, currency: self.currency }
    }

    /// As CSV (RFC 4180): a head, a row per method, and a row of sums. No field needs quotes.
    pub fn csv(&self) -> String {
        let mut csv = "performance_id,method,currency,payments,sold,refunds,refunded,fees,due,open_refunds,open_disputes,lost_disputes\r\n"
            .to_owned();
        let sum = self.sum();
        let of_cards = [self.open_refunds, self.open_disputes, self.lost_disputes];
        let rows = [("wallet", &self.wallet, [0; 3]), ("card", &self.card, of_cards), ("all", &sum, of_cards)];
        for (method, item, [open, disputed, lost]) in rows {
            let amount = |minor| self.money(minor).decimal();
            let SettlementItem { payments, refunds, .. } = item;
            let (sold, refunded) = (amount(item.sold_minor), amount(item.refunded_minor));
            let (fees, due) = (amount(item.fees_minor), amount(item.due_minor()));
            // Writing to a string cannot fail.
            let _ = write!(csv, "{},{method},{},{payments},{sold},", self.performance, self.currency);
            let _ = write!(csv, "{refunds},{refunded},{fees},{due},{open},{disputed},{lost}\r\n");
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_settlement_is_written_with_the_decimals_of_its_currency() {
        let item = |payments, sold_minor, refunds, refunded_minor, fees_minor| SettlementItem {
            payments,
            sold_minor,
            refunds,
            refunded_minor,
            fees_minor,
        };
        let settlement = |code| Settlement {
            performance: PerformanceId(Uuid::nil()),
            currency: Currency::parse(code).expect("a currency"),
            wallet: item(2, 24_000, 1, 10_800, 1_200),
            card: item(1, 7_505, 0, 0, 0),
            open_refunds: 3,
            open_disputes: 1,
            lost_disputes: 2,
        };
        let id = Uuid::nil();
        assert_eq!(
            settlement("EUR").csv(),
            format!(
                "performance_id,method,currency,payments,sold,refunds,refunded,fees,due,open_refunds,open_disputes,lost_disputes\r\n\
                 {id},wallet,EUR,2,240.00,1,108.00,12.00,132.00,0,0,0\r\n\
                 {id},card,EUR,1,75.05,0,0.00,0.00,75.05,3,1,2\r\n\
                 {id},all,EUR,3,315.05,1,108.00,12.00,207.05,3,1,2\r\n"
            )
        );
        assert!(settlement("JPY").csv().contains(",card,JPY,1,7505,0,0,0,7505,3,1,2\r\n"));
        assert!(settlement("KWD").csv().contains(",card,KWD,1,7.505,0,0.000,0.000,7.505,3,1,2\r\n"));
    }
}
