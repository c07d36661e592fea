//! The operations on the seats.

use proptest::prelude::*;

use crate::reference::BestSeats;
use crate::{FANS, SEATS, SLOW};

/// An action of a fan or an operator.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Holds consecutive seats of the chart.
    HoldNamed {
        fan: usize,
        first: usize,
        count: usize,
        prevent_orphan_seats: bool,
    },
    HoldBest {
        fan: usize,
        seat_request: BestSeats,
    },
    /// Repeats the request of a hold.
    Repeat {
        hold: usize,
    },
    Extend {
        hold: usize,
    },
    /// Releases some seats of a hold. Each bit selects one of the seats that the hold was placed with.
    GiveBack {
        hold: usize,
        bits: u8,
    },
    Release {
        hold: usize,
    },
    Pay {
        hold: usize,
    },
    /// An operator blocks consecutive seats of the chart.
    Block {
        first: usize,
        count: usize,
    },
    Unblock {
        first: usize,
        count: usize,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Do(Action),
    /// An action while Redis loses all seats.
    DoAndLose(Action),
    /// Two fans hold seats at the same time at two instances. The seats may overlap.
    Race {
        fans: (usize, usize),
        firsts: (usize, usize),
        count: usize,
        lose: bool,
    },
    /// Time passes.
    Pass {
        secs: u64,
    },
    Lose,
    /// A watcher reads until its map is current.
    Look {
        watcher: usize,
    },
    /// A watcher reconnects to one of the instances with the version of its map.
    ComeBack {
        watcher: usize,
        instance: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (fan, hold) = (|| 0..FANS, || 0_usize..30);
    let name = (fan(), 0..SEATS, 1_usize..=4, any::<bool>());
    let seat_request = (1_usize..=4, prop::option::of(0_u16..2), any::<bool>());
    let seat_request = seat_request.prop_map(|(count, section, allow_split)| BestSeats { count, section, allow_split });
    prop_oneof![
        5 => name.prop_map(|(fan, first, count, prevent_orphan_seats)| Action::HoldNamed { fan, first, count, prevent_orphan_seats }),
        5 => (fan(), seat_request).prop_map(|(fan, seat_request)| Action::HoldBest { fan, seat_request }),
        1 => hold().prop_map(|hold| Action::Repeat { hold }),
        2 => hold().prop_map(|hold| Action::Extend { hold }),
        3 => (hold(), 1_u8..16).prop_map(|(hold, bits)| Action::GiveBack { hold, bits }),
        2 => hold().prop_map(|hold| Action::Release { hold }),
        3 => hold().prop_map(|hold| Action::Pay { hold }),
        2 => (0..SEATS, 1_usize..=3).prop_map(|(first, count)| Action::Block { first, count }),
        2 => (0..SEATS, 1_usize..=2).prop_map(|(first, count)| Action::Unblock { first, count }),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let (fan, first, watcher) = (|| 0..FANS, || 0..SEATS, || 0..SLOW);
    let race = (fan(), fan(), first(), 0_usize..3, 1_usize..=3, any::<bool>());
    let race = race.prop_map(|(one, other, first, apart, count, lose)| {
        let other = if one == other { (one + 1) % FANS } else { other };
        Operation::Race { fans: (one, other), firsts: (first, (first + apart) % SEATS), count, lose }
    });
    prop_oneof![
        12 => action().prop_map(Operation::Do),
        4 => action().prop_map(Operation::DoAndLose),
        2 => race,
        2 => (1_u64..50).prop_map(|secs| Operation::Pass { secs }),
        1 => Just(Operation::Lose),
        2 => watcher().prop_map(|watcher| Operation::Look { watcher }),
        2 => (watcher(), 0_usize..2).prop_map(|(watcher, instance)| Operation::ComeBack { watcher, instance }),
    ]
}
