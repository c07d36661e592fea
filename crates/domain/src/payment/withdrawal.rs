//! Gives the balance of a wallet back to the cards that topped it up.

use thiserror::Error;

use crate::ids::{RefundId, UserId};
use crate::money::Money;
use crate::payment::attempt::Progress;
use crate::payment::card::{CardPayment, Purpose};
use crate::payment::refund::{CancelledBy, Refund, RefundCause};
use crate::time::Timestamp;
use crate::wallet::{Transfer, TransferIds};

/// The most top-ups that one withdrawal gives back: a fan with more withdraws again.
pub const WITHDRAWAL_PARTS_MAX: usize = 10;

/// A withdrawal to be made.
#[derive(Clone, Debug)]
pub struct WithdrawalPlan {
    /// Whose wallet.
    pub user: UserId,
    /// How much; positive.
    pub amount: Money,
    /// The ids of its parts.
    pub parts: [(RefundId, TransferIds); WITHDRAWAL_PARTS_MAX],
    /// When.
    pub at: Timestamp,
}

/// A part of a withdrawal: what goes back to the card of one top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalPart {
    /// The refund of the top-up.
    pub refund: Refund,
    /// The transfer from the wallet to the gateway.
    pub transfer: Transfer,
}

/// Why nothing is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WithdrawRefusal {
    /// The wallet has less.
    #[error("the balance is too low")]
    InsufficientBalance {
        /// What it has.
        balance: Money,
        /// What was asked for.
        needed: Money,
    },
    /// Cards can take back less than that: money that came from elsewhere stays in the wallet.
    #[error("only {refundable} can go back to cards")]
    NotFromCards {
        /// What the latest [`WITHDRAWAL_PARTS_MAX`] top-ups by card can take back.
        refundable: Money,
    },
}

/// What can still go back to the card of a top-up, in minor units.
pub fn refundable_minor(card: &CardPayment) -> i64 {
    let state = card.latest();
    let is_credited = card.purpose == Purpose::TopUp && state.is_confirmed && state.capture == Progress::Succeeded;
    // A refund that came back is not tried again: its card takes nothing.
    if is_credited { card.amount.minor - card.refunded_minor() } else { 0 }
}

impl WithdrawalPlan {
    /// Decides which of these top-ups of the fan, newest first, take back how much.
    pub fn decide(&self, balance: Money, top_ups: &[CardPayment]) -> Result<Vec<WithdrawalPart>, WithdrawRefusal> {
        if balance.minor < self.amount.minor {
            return Err(WithdrawRefusal::InsufficientBalance { balance, needed: self.amount });
        }
        let (mut left_minor, mut parts) = (self.amount.minor, Vec::new());
        let top_ups = top_ups.iter().filter(|card| refundable_minor(card) > 0);
        for (card, (refund, ids)) in top_ups.zip(self.parts) {
            let minor = refundable_minor(card).min(left_minor);
            if minor == 0 {
                break;
            }
            left_minor -= minor;
            parts.push(self.part(card, Money { minor, ..self.amount }, refund, ids));
        }
        if left_minor == 0 {
            return Ok(parts);
        }
        let refundable = Money { minor: self.amount.minor - left_minor, ..self.amount };
        Err(WithdrawRefusal::NotFromCards { refundable })
    }

    fn part(&self, card: &CardPayment, price: Money, id: RefundId, ids: TransferIds) -> WithdrawalPart {
        let refund = Refund {
            id,
            payment: card.id,
            reservation: None,
            user: self.user,
            performance: None,
            slots: Vec::new(),
            is_whole: false,
            price,
            fee_minor: 0,
            by: CancelledBy::Fan,
            cause: RefundCause::Withdrawn,
            to_card: true,
            at: self.at,
        };
        let transfer = Transfer::card_refund(ids, self.user, price, (card.id, id), self.at);
        WithdrawalPart { refund, transfer }
    }
}
