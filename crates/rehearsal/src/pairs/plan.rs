//! Which slices follow each other, and how long they may be.

use std::time::Duration;

/// A slice is never shorter: fewer pairs are run instead. Below this the first and last calls of a closed loop are a noticeable part of it.
pub const SLICE_MIN: Duration = Duration::from_millis(250);
/// A slice is never longer: a machine that changes its speed should do so between pairs, not within them.
pub const SLICE_MAX: Duration = Duration::from_secs(2);

/// One slice of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Of the scenario's variant of this number.
    Scenario(usize),
    /// Of the baseline of this number.
    Baseline(usize),
}

/// Two adjacent slices of a round whose rates are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Which comparison it belongs to.
    pub comparison: usize,
    /// The place of the scenario's slice in the round.
    pub scenario: usize,
    /// The place of the baseline's slice in the round.
    pub baseline: usize,
}

/// What is compared with what: a variant of the scenario and a baseline, by their numbers.
pub type Compared = (usize, usize);

/// The slices of one round, in their order, which contains one pair of each comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// In the order in which they are run.
    pub slices: Vec<Slice>,
    /// The pairs among them.
    pub pairings: Vec<Pairing>,
}

impl Round {
    /// The round of this number, from 0. A slice of the scenario stands between two baselines and is compared with both (`B A C`), and
    /// every second round runs backwards, so that each comparison has as many pairs in which the scenario was first as in which it was
    /// second.
    pub fn of(comparisons: &[Compared], number: usize) -> Self {
        let mut round = Self::default();
        let mut left: Vec<(usize, Compared)> = comparisons.iter().copied().enumerate().collect();
        while let Some((comparison, (variant, baseline))) = left.first().copied() {
            left.remove(0);
            let next = left.iter().position(|(_, (other, _))| *other == variant).map(|place| left.remove(place));
            let first = round.slices.len();
            round.slices.extend([Slice::Baseline(baseline), Slice::Scenario(variant)]);
            round.pairings.push(Pairing { comparison, scenario: first + 1, baseline: first });
            if let Some((comparison, (_, baseline))) = next {
                round.slices.push(Slice::Baseline(baseline));
                round.pairings.push(Pairing { comparison, scenario: first + 1, baseline: first + 2 });
            }
        }
        if number.is_multiple_of(2) { round } else { round.backwards() }
    }

    fn backwards(mut self) -> Self {
        let last = self.slices.len().saturating_sub(1);
        self.slices.reverse();
        for pairing in &mut self.pairings {
            (pairing.scenario, pairing.baseline) = (last - pairing.scenario, last - pairing.baseline);
        }
        self
    }
}

/// The time that is left and what is to be done in it.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Until the last slice must have ended.
    pub left: Duration,
    /// How many more rounds are wanted.
    pub rounds: u32,
    /// How many slices of a round last a given time.
    pub timed_slices: u32,
    /// What a round takes besides: preparing slices, and slices of a fixed amount of work.
    pub fixed_per_round: Duration,
}

/// How the time is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many more rounds fit.
    pub rounds: u32,
    /// How long each timed slice lasts.
    pub slice: Duration,
}

impl Budget {
    /// The longest slices with which all rounds fit; fewer rounds if they would be shorter than [`SLICE_MIN`]. None if not even one round
    /// fits.
    pub fn plan(&self) -> Option<Plan> {
        (1..=self.rounds).rev().find_map(|rounds| {
            let for_slices = self.left.checked_sub(self.fixed_per_round.checked_mul(rounds)?)?;
            let slice = match self.timed_slices.checked_mul(rounds)? {
                0 => SLICE_MAX,
                slices => for_slices / slices,
            };
            (slice >= SLICE_MIN).then(|| Plan { rounds, slice: slice.min(SLICE_MAX) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Slice::{Baseline, Scenario};

    /// Four baselines of one scenario, and a second variant with one of its own.
    const COMPARISONS: [Compared; 4] = [(0, 0), (0, 1), (0, 2), (1, 3)];

    #[test]
    fn a_slice_of_the_scenario_stands_between_two_baselines() {
        let round = Round::of(&COMPARISONS, 0);
        assert_eq!(
            round.slices,
            [Baseline(0), Scenario(0), Baseline(1), Baseline(2), Scenario(0), Baseline(3), Scenario(1)]
        );
        let back = Round::of(&COMPARISONS, 1);
        assert_eq!(back.slices, round.slices.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(Round::of(&COMPARISONS, 2), round);
        assert_eq!(Round::of(&[], 0), Round::default());
    }

    #[test]
    fn each_round_has_an_adjacent_pair_of_each_comparison_and_the_order_changes() {
        for number in 0..4 {
            let round = Round::of(&COMPARISONS, number);
            let mut seen: Vec<usize> = round.pairings.iter().map(|pairing| pairing.comparison).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3]);
            for pairing in &round.pairings {
                let (variant, baseline) = COMPARISONS[pairing.comparison];
                assert_eq!(round.slices[pairing.scenario], Scenario(variant));
                assert_eq!(round.slices[pairing.baseline], Baseline(baseline));
                assert_eq!(pairing.scenario.abs_diff(pairing.baseline), 1, "nothing is between them");
            }
        }
        let scenario_is_first = |number, comparison| {
            let round = Round::of(&COMPARISONS, number);
            let pairing = round.pairings.iter().find(|pairing| pairing.comparison == comparison).copied();
            pairing.is_some_and(|pairing| pairing.scenario < pairing.baseline)
        };
        for comparison in 0..4 {
            assert_ne!(scenario_is_first(0, comparison), scenario_is_first(1, comparison));
        }
    }

    fn plan(left_ms: u64, rounds: u32, timed_slices: u32, fixed_ms: u64) -> Option<(u32, u64)> {
        let millis = Duration::from_millis;
        let budget = Budget { left: millis(left_ms), rounds, timed_slices, fixed_per_round: millis(fixed_ms) };
        let plan = budget.plan()?;
        let slices = u64::from(plan.rounds * timed_slices);
        let slice_ms = u64::try_from(plan.slice.as_millis()).unwrap();
        assert!(slices * slice_ms + u64::from(plan.rounds) * fixed_ms <= left_ms, "it fits into the time: {plan:?}");
        Some((plan.rounds, slice_ms))
    }

    #[test]
    fn slices_get_shorter_before_pairs_get_fewer() {
        assert_eq!(plan(1_000_000, 7, 2, 100), Some((7, 2_000)), "and never longer than the longest");
        assert_eq!(plan(14_700, 7, 2, 100), Some((7, 1_000)));
        assert_eq!(plan(4_200, 7, 2, 100), Some((7, 250)));
        assert_eq!(plan(4_199, 7, 2, 100), Some((6, 299)), "one pair fewer");
        assert_eq!(plan(600, 7, 2, 100), Some((1, 250)));
        assert_eq!(plan(599, 7, 2, 100), None);
        assert_eq!(plan(1_000, 0, 2, 100), None, "none is wanted");
    }

    #[test]
    fn slices_of_a_fixed_amount_of_work_are_counted_by_what_they_took() {
        assert_eq!(plan(10_000, 7, 0, 1_500), Some((6, 2_000)));
        assert_eq!(plan(1_000, 7, 0, 1_500), None);
    }
}
