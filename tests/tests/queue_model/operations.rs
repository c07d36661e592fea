//! What may be done to a queue.

use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::queue::{AdmissionTerms, QueueRate};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{ACCEPT_WINDOW, BATCH, FANS, LANES, MAX_ACTIVE};

/// Which of the queue tokens that a fan has been given is shown.
#[derive(Clone, Copy, Debug)]
pub struct Hand {
    pub fan: usize,
    /// That of an earlier token, if there is one.
    pub earlier: bool,
    /// From a device that knows of the admission, if there was one; else the queue token of the join.
    pub admitted: bool,
}

/// How a queue is lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Nothing is left of it.
    Flush,
    /// Another server has taken over, and what it has is not to be believed.
    FailOver,
}

/// Something that is done to the queue.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Who waits unseen and joins gets another token.
    Join {
        fan: usize,
        lane: u8,
    },
    Leave(Hand),
    /// The fan is not reported any more.
    Drop {
        fan: usize,
    },
    /// The fan is reported again.
    Return {
        fan: usize,
    },
    Show(Hand),
    /// Time passes; then those present are reported, and those away are looked for.
    Tick {
        ms: u64,
    },
    Admit(AdmissionTerms),
    Accept(Hand),
    /// The fan pays. The queue may never be told of it.
    Pay {
        hand: Hand,
        told: bool,
    },
    /// What the queue has come to is kept.
    Keep,
    /// The queue is lost, and restored from what was kept last. These fans show their tokens at once if they are present.
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
            stock: stock.map(|(free, held)| SeatStock { free, held }),
            calling,
        },
    )
}

fn hand() -> impl Strategy<Value = Hand> {
    let (earlier, admitted) = (prop::bool::weighted(0.3), prop::bool::weighted(0.8));
    (0..FANS, earlier, admitted).prop_map(|(fan, earlier, admitted)| Hand { fan, earlier, admitted })
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let fan = || 0..FANS;
    let loss = prop_oneof![Just(Loss::Flush), Just(Loss::FailOver)];
    prop_oneof![
        9 => (fan(), 0_u8..2).prop_map(|(fan, lane)| Operation::Join { fan, lane }),
        1 => hand().prop_map(Operation::Leave),
        2 => fan().prop_map(|fan| Operation::Drop { fan }),
        2 => fan().prop_map(|fan| Operation::Return { fan }),
        6 => hand().prop_map(Operation::Show),
        4 => (1_u64..1_500).prop_map(|ms| Operation::Tick { ms }),
        2 => (1_500_u64..10_500).prop_map(|ms| Operation::Tick { ms }),
        7 => terms().prop_map(Operation::Admit),
        7 => hand().prop_map(Operation::Accept),
        3 => (hand(), any::<bool>()).prop_map(|(hand, told)| Operation::Pay { hand, told }),
        3 => Just(Operation::Keep),
        3 => (loss, vec(prop::bool::weighted(0.7), FANS)).prop_map(|(loss, showing)| Operation::Lose { loss, showing }),
    ]
}
