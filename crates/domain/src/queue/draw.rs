//! The draw: those who joined before the opening get their numbers by a permutation that nobody can choose.
//!
//! The key is made with the queue, and its SHA-256 is published then. At the opening the key is published, with the number of fans
//! who had joined each lane. The number of a join index is a keyed permutation of 1 … count: a Feistel network of eight rounds (Luby and Rackoff,
//! 1988) over the next power of four, walking its cycle until the value falls inside (Black and Rogaway, 2002). A round's function
//! is the first 8 bytes, big-endian, of SHA-256 over the key, the lane as one byte, the round as one byte, and the right half as
//! 8 bytes big-endian, cut to the half's bits.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::ids::PerformanceId;

/// How many bytes a key has.
pub const DRAW_KEY_BYTES: usize = 32;
const ROUNDS: u8 = 8;

/// The key of a queue's draw. It is secret until the opening.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DrawKey(pub [u8; DRAW_KEY_BYTES]);

impl fmt::Debug for DrawKey {
    /// Shows a part of the commitment only: the key is secret until the opening.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrawKey({:02x?}…)", &self.commitment()[..4])
    }
}

impl DrawKey {
    /// What is published when the queue is created: the SHA-256 of the key.
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// The drawn numbers of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    key: DrawKey,
    lane: u8,
    count: u64,
    half_bits: u32,
}

impl Draw {
    /// The draw for the first `count` fans who joined a lane.
    pub fn new(key: DrawKey, lane: u8, count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { key, lane, count, half_bits: bits.div_ceil(2).max(1) }
    }

    /// How many numbers are drawn.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of a join index from 1 to [`Draw::count`].
    pub fn number(&self, index: u64) -> u64 {
        let mut value = index.saturating_sub(1);
        loop {
            value = self.mixed(value);
            if value < self.count {
                return value + 1;
            }
        }
    }

    /// The join index of a number from 1 to [`Draw::count`].
    pub fn index(&self, number: u64) -> u64 {
        let mut value = number.saturating_sub(1);
        loop {
            value = self.unmixed(value);
            if value < self.count {
                return value + 1;
            }
        }
    }

    /// SHA-256 over the numbers of all join indexes in order, 8 bytes big-endian each. It costs some microseconds for each number.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for index in 1..=self.count {
            digest.update(self.number(index).to_be_bytes());
        }
        digest.finalize().into()
    }

    fn mixed(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (self.round(round, right) & mask));
        }
        left << self.half_bits | right
    }

    fn unmixed(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ (self.round(round, left) & mask), left);
        }
        left << self.half_bits | right
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.key.0);
        hash.update([self.lane, round]);
        hash.update(half.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        hash.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

/// How many fans entered the draw of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawEntries {
    /// By the index of the lane. A lane that is missing has none.
    pub joined: Vec<u64>,
    /// Whether nobody can enter any more.
    pub closed: bool,
}

/// The entry of a fan in the draw of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrawEntry {
    /// Whose queue.
    pub performance: PerformanceId,
    /// The index of the lane.
    pub lane: u8,
    /// The fan's index in the draw of the lane.
    pub index: u64,
}

/// The position among the entries of a fan, which are listed by performance and lane.
pub type DrawEntryCursor = (PerformanceId, u8);

impl DrawEntry {
    /// See [`DrawEntryCursor`].
    pub fn cursor(&self) -> DrawEntryCursor {
        (self.performance, self.lane)
    }
}

/// What is published of a lane's draw once the queue has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The index of the lane.
    pub lane: u8,
    /// How many had joined it.
    pub count: u64,
    /// See [`Draw::digest`].
    pub digest: [u8; 32],
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KEY: DrawKey = DrawKey([7; DRAW_KEY_BYTES]);

    #[test]
    fn every_number_is_given_once() {
        for count in [0, 1, 2, 3, 4, 5, 16, 17, 1_000, 4_097] {
            let draw = Draw::new(KEY, 0, count);
            let numbers: BTreeSet<u64> = (1..=count).map(|index| draw.number(index)).collect();
            assert!(numbers.into_iter().eq(1..=count), "{count}");
            assert!((1..=count).all(|index| draw.index(draw.number(index)) == index), "{count}");
        }
    }

    #[test]
    fn another_key_or_lane_draws_otherwise() {
        let numbers = |draw: Draw| (1..=100).map(|index| draw.number(index)).collect::<Vec<u64>>();
        let drawn = numbers(Draw::new(KEY, 0, 100));
        assert_ne!(drawn, (1..=100).collect::<Vec<u64>>());
        assert_ne!(drawn, numbers(Draw::new(KEY, 1, 100)));
        assert_ne!(drawn, numbers(Draw::new(DrawKey([8; DRAW_KEY_BYTES]), 0, 100)));
        assert_eq!(drawn, numbers(Draw::new(KEY, 0, 100)));
    }

    /// What others compute must stay what we compute: these were computed once from the text above, in another language.
    #[test]
    fn the_draw_is_what_its_description_says() {
        let draw = Draw::new(KEY, 0, 10);
        let numbers: Vec<u64> = (1..=10).map(|index| draw.number(index)).collect();
        assert_eq!(numbers, [7, 2, 6, 9, 1, 3, 8, 10, 5, 4]);
    }

    #[test]
    fn a_key_is_not_shown() {
        assert!(!format!("{KEY:?}").contains("07, 07"));
    }
}
