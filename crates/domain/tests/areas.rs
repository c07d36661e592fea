//! Choosing units of a general admission area, against one that counts.
#![expect(clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use encore_domain::booking::reservation_id;
use encore_domain::booking::seat_state::SeatStatus::{Free, Held, Sold};
use encore_domain::booking::seat_state::{SeatState, SeatStatus};
use encore_domain::booking::unit_search::{TooFewLeft, UnitSearch};
use encore_domain::catalog::area::Area;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{RequestId, ReservationId, UserId};
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use proptest::prelude::*;
use uuid::Uuid;

/// Seats before an area, a separator, and the area; and somebody who wants units of it.
#[derive(Clone, Debug)]
struct Case {
    area: Area,
    state: Vec<Option<SeatStatus>>,
    owner: ReservationId,
    count: usize,
}

impl Case {
    fn search(&self) -> UnitSearch {
        UnitSearch::new(&self.area, self.count, self.owner)
    }

    /// The free units, one by one.
    fn free(&self) -> BTreeSet<Slot> {
        self.area.slots().map(Slot).filter(|slot| self.state[slot.0 as usize] == Some(Free)).collect()
    }
}

fn free_units(area: &Area, state: &[Option<SeatStatus>]) -> u32 {
    SeatState { statuses: state.to_vec(), version: 1 }.free_units(area)
}

/// Venues from empty to nearly full, with free seats on either side of the area.
fn cases() -> impl Strategy<Value = Case> {
    let units = (0_u32..=10).prop_flat_map(|tenths| {
        let unit = prop_oneof![10 - tenths => Just(Some(Free)), tenths => Just(Some(Held)), tenths => Just(Some(Sold))];
        prop::collection::vec(unit, 1..60)
    });
    (units, 1_u32..5, any::<u128>(), 1_usize..=8).prop_map(|(units, seats, owner, count)| {
        let capacity = u32::try_from(units.len()).expect("few units");
        let area = Area { section: 0, grade: 0, first: Slot(seats + 1), capacity };
        let before = std::iter::repeat_n(Some(Free), seats as usize).chain([None]);
        let state = before.chain(units).chain([None, Some(Free), Some(Free)]).collect();
        Case { area, state, owner: ReservationId(Uuid::from_u128(owner)), count }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn as_many_free_units_as_wanted_are_chosen_or_it_is_said_how_many_are_left(case in cases()) {
        let (search, free) = (case.search(), case.free());
        prop_assert_eq!(free_units(&case.area, &case.state) as usize, free.len());
        match search.choose(&case.state) {
            Ok(chosen) => {
                prop_assert_eq!(chosen.len(), case.count);
                prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", chosen);
                prop_assert!(chosen.iter().all(|slot| free.contains(slot)), "{:?} of {:?}", chosen, free);
                // The first ones from where the search begins, round about.
                let wraps = |slot: &Slot| (*slot < search.from, *slot);
                let mut in_order: Vec<Slot> = free.iter().copied().collect();
                in_order.sort_by_key(wraps);
                in_order.truncate(case.count);
                in_order.sort_unstable();
                prop_assert_eq!(chosen, in_order);
            }
            Err(TooFewLeft { left }) => {
                prop_assert_eq!(left as usize, free.len());
                prop_assert!(free.len() < case.count);
            }
        }
    }

    #[test]
    fn every_unit_is_looked_at_once_in_pieces_of_any_size(case in cases(), piece in 1_u32..70) {
        let search = case.search();
        prop_assert!(case.area.slots().contains(&search.from.0));
        let pieces = (0..case.area.capacity).step_by(piece as usize);
        let looked_at: Vec<Slot> = pieces.flat_map(|skipped| search.slots(skipped, piece)).collect();
        prop_assert_eq!(&looked_at, &search.slots(0, u32::MAX).collect::<Vec<_>>());
        prop_assert_eq!(looked_at[0], search.from);
        prop_assert_eq!(looked_at.len(), case.area.capacity as usize);
        prop_assert_eq!(looked_at.into_iter().collect::<BTreeSet<_>>(), case.area.slots().map(Slot).collect());
    }
}

#[test]
fn a_crowd_sells_exactly_the_capacity_and_is_spread_over_it() {
    const CAPACITY: u32 = 20_000;
    let area = Area { section: 0, grade: 0, first: Slot(0), capacity: CAPACITY };
    let mut state = vec![Some(Free); CAPACITY as usize];
    let (mut sold, mut first_thousand, mut steps) = (0, BTreeSet::new(), 0_u64);
    for turn in 0_u128.. {
        let id = RequestId(Uuid::from_u128(turn));
        let owner = reservation_id(&RequestKey {
            user: UserId(Uuid::nil()),
            id,
            fingerprint: Fingerprint::new([0; DIGEST_LEN], [0; DIGEST_LEN]),
        });
        let search = UnitSearch::new(&area, 1 + (turn % 4) as usize, owner);
        let Ok(chosen) = search.choose(&state) else { break };
        sold += chosen.len();
        for slot in chosen {
            state[slot.0 as usize] = Some(Held);
            if turn < 1_000 {
                first_thousand.insert(slot.0 * 20 / CAPACITY);
            }
            steps += u64::from((slot.0 + CAPACITY - search.from.0) % CAPACITY);
        }
    }
    assert_eq!((sold, free_units(&area, &state)), (CAPACITY as usize, 0));
    assert_eq!(first_thousand.len(), 20, "the first fans are in every twentieth of it");
    assert!(steps / u64::from(CAPACITY) < 200, "few steps on the average: {steps}");
}
