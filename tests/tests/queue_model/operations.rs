//! The operations on a queue.

use std::time::Duration;

use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::queue::{AdmissionTerms, QueueRate};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{ACCEPT_WINDOW, BATCH, FANS, LANES, MAX_ACTIVE};

/// Which of a fan's tokens is used.
#[derive(Clone, Copy, Debug)]
pub struct TokenChoice {
    pub fan: usize,
    /// The token before the latest one, if any.
    pub earlier: bool,
    /// The token with the admission, if any; otherwise the token of the join.
    pub admitted: bool,
}

/// How a queue is lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// All keys are deleted.
    Flush,
    /// Another server has taken over, whose data must not be trusted.
    FailOver,
}

/// An operation on the queue.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A fan joins. An unseen fan gets a new token.
    Join {
        fan: usize,
        lane: u8,
    },
    Leave(TokenChoice),
    /// The fan is no longer reported as present.
    Drop {
        fan: usize,
    },
    /// The fan is reported as present again.
    Return {
        fan: usize,
    },
    Show(TokenChoice),
    /// Time passes. Then present fans are reported and absent fans are abandoned.
    Tick {
        ms: u64,
    },
    Admit(AdmissionTerms),
    Accept(TokenChoice),
    /// A called fan could buy nothing: the token ends.
    PassOver(TokenChoice),
    /// The fan pays. `reported` says whether the queue is notified.
    Pay {
        choice: TokenChoice,
        reported: bool,
    },
    /// A record of the queue is kept.
    Keep,
    /// The queue is lost, and restored from the last record. These fans show their tokens at once if they are present.
    Lose {
        loss: Loss,
        showing: Vec<bool>,
    },
}

fn terms() -> impl Strategy<Value = AdmissionTerms> {
    let rate = (1_u32..=4, prop_oneof![Just(700_u64), Just(1_000), Just(2_000)]);
    let stock = prop::option::weighted(0.3, (0_u32..=5, 0_u32..=4));
    let weights = vec(1_u32..=4, LANES);
    (rate, 1..=BATCH, 1..=MAX_ACTIVE, weights, stock, prop::bool::weighted(0.9)).prop_map(
        |((admissions, period_ms), batch, max_active, weights, stock, calling)| AdmissionTerms {
            rate: QueueRate { admissions, period: Duration::from_millis(period_ms) },
            batch,
            max_active,
            accept_window: ACCEPT_WINDOW,
            weights,
            stock: stock
                .map(|(free, held)| StockByNeed { general: SeatStock { free, held }, ..StockByNeed::default() }),
            calling,
        },
    )
}

fn choice() -> impl Strategy<Value = TokenChoice> {
    let (earlier, admitted) = (prop::bool::weighted(0.3), prop::bool::weighted(0.8));
    (0..FANS, earlier, admitted).prop_map(|(fan, earlier, admitted)| TokenChoice { fan, earlier, admitted })
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let fan = || 0..FANS;
    let loss = prop_oneof![Just(Loss::Flush), Just(Loss::FailOver)];
    prop_oneof![
        9 => (fan(), 0_u8..2).prop_map(|(fan, lane)| Operation::Join { fan, lane }),
        1 => choice().prop_map(Operation::Leave),
        2 => fan().prop_map(|fan| Operation::Drop { fan }),
        2 => fan().prop_map(|fan| Operation::Return { fan }),
        6 => choice().prop_map(Operation::Show),
        4 => (1_u64..1_500).prop_map(|ms| Operation::Tick { ms }),
        2 => (1_500_u64..10_500).prop_map(|ms| Operation::Tick { ms }),
        7 => terms().prop_map(Operation::Admit),
        7 => choice().prop_map(Operation::Accept),
        2 => choice().prop_map(Operation::PassOver),
        3 => (choice(), any::<bool>()).prop_map(|(choice, reported)| Operation::Pay { choice, reported }),
        3 => Just(Operation::Keep),
        3 => (loss, vec(prop::bool::weighted(0.7), FANS)).prop_map(|(loss, showing)| Operation::Lose { loss, showing }),
    ]
}
