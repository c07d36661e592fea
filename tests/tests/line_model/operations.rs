//! What may be done to a line.

use std::time::Duration;

use encore_domain::queue::{AdmissionTerms, LineRate};
use encore_domain::seat_state::SeatStock;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{BATCH, CAP, CLAIM_WINDOW, FANS, LANES};

/// Which of the tickets that a fan has been given is shown.
#[derive(Clone, Copy, Debug)]
pub struct Hand {
    pub fan: usize,
    /// That of an earlier place, if there is one.
    pub earlier: bool,
    /// From a device that knows of the admission, if there was one; else the ticket of the join.
    pub admitted: bool,
}

/// How a line is lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Nothing is left of it.
    Flush,
    /// Another server has taken over, and what it has is not to be believed.
    FailOver,
}

/// Something that is done to the line.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Who waits unseen and joins gets another place.
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
    Claim(Hand),
    /// The fan pays. The line may never be told of it.
    Pay {
        hand: Hand,
        told: bool,
    },
    /// What the line has come to is kept.
    Keep,
    /// The line is lost, and put in place again from what was kept last. These fans show their places at once if they are present.
    Lose {
        loss: Loss,
        showing: Vec<bool>,
    },
}

fn terms() -> impl Strategy<Value = AdmissionTerms> {
    let rate = (1_u32..=4, prop_oneof![Just(700_u64), Just(1_000), Just(2_000)]);
    let stock = prop::option::weighted(0.3, (0_u32..=5, 0_u32..=4));
    let weights = vec(1_u32..=4, LANES);
    (rate, 1..=BATCH, 1..=CAP, weights, stock, prop::bool::weighted(0.9)).prop_map(
        |((admissions, period_ms), batch, cap, weights, stock, calling)| AdmissionTerms {
            rate: LineRate { admissions, period: Duration::from_millis(period_ms) },
            batch,
            cap,
            claim_window: CLAIM_WINDOW,
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
        7 => hand().prop_map(Operation::Claim),
        3 => (hand(), any::<bool>()).prop_map(|(hand, told)| Operation::Pay { hand, told }),
        3 => Just(Operation::Keep),
        3 => (loss, vec(prop::bool::weighted(0.7), FANS)).prop_map(|(loss, showing)| Operation::Lose { loss, showing }),
    ]
}
