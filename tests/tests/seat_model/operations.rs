//! What is done to the seats.

use proptest::prelude::*;

use crate::reference::Wish;
use crate::{FANS, SEATS, SLOW};

/// What one fan does.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Holds seats that follow each other in the venue.
    Name {
        fan: usize,
        first: usize,
        count: usize,
        prevent_orphan_seats: bool,
    },
    Best {
        fan: usize,
        seat_request: Wish,
    },
    /// Says a hold again.
    Repeat {
        hold: usize,
    },
    Extend {
        hold: usize,
    },
    /// Gives back the seats whose bits are set, of those that the hold began with.
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
    /// Operators keep seats that follow each other in the venue.
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
    Do(Deed),
    /// While Redis loses everything.
    DoAndLose(Deed),
    /// Two fans, at two instances at once, on seats that may be the same.
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
    /// A watcher reads up to now.
    Look {
        watcher: usize,
    },
    /// A watcher comes back, with what they have, at one of the instances.
    ComeBack {
        watcher: usize,
        instance: usize,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let (fan, hold) = (|| 0..FANS, || 0_usize..30);
    let name = (fan(), 0..SEATS, 1_usize..=4, any::<bool>());
    let seat_request = (1_usize..=4, prop::option::of(0_u16..2), any::<bool>());
    let seat_request = seat_request.prop_map(|(count, section, allow_split)| Wish { count, section, allow_split });
    prop_oneof![
        5 => name.prop_map(|(fan, first, count, prevent_orphan_seats)| Deed::Name { fan, first, count, prevent_orphan_seats }),
        5 => (fan(), seat_request).prop_map(|(fan, seat_request)| Deed::Best { fan, seat_request }),
        1 => hold().prop_map(|hold| Deed::Repeat { hold }),
        2 => hold().prop_map(|hold| Deed::Extend { hold }),
        3 => (hold(), 1_u8..16).prop_map(|(hold, bits)| Deed::GiveBack { hold, bits }),
        2 => hold().prop_map(|hold| Deed::Release { hold }),
        3 => hold().prop_map(|hold| Deed::Pay { hold }),
        2 => (0..SEATS, 1_usize..=3).prop_map(|(first, count)| Deed::Block { first, count }),
        2 => (0..SEATS, 1_usize..=2).prop_map(|(first, count)| Deed::Unblock { first, count }),
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
        12 => deed().prop_map(Operation::Do),
        4 => deed().prop_map(Operation::DoAndLose),
        2 => race,
        2 => (1_u64..50).prop_map(|secs| Operation::Pass { secs }),
        1 => Just(Operation::Lose),
        2 => watcher().prop_map(|watcher| Operation::Look { watcher }),
        2 => (watcher(), 0_usize..2).prop_map(|(watcher, instance)| Operation::ComeBack { watcher, instance }),
    ]
}
