//! Packs numbers into a bitmap, so that an instance reports the presence of all its fans with one command per lane.

use std::time::Duration;

use encore_domain::ports::Presence;

use crate::reply::millis;

/// The highest number that is reported as present. A higher one can only come from a queue token of an earlier epoch, and
/// would cost a bitmap of as many bits.
const NUMBER_MAX: u64 = 1 << 26;
/// How long the bitmap of a period is kept beyond twice the grace, because the clocks of instances differ.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// A piece of a bitmap in Redis's order: the most significant bit of the first byte stands for number `8 * first_byte`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackedNumbers {
    pub(crate) first_byte: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Packs numbers in any order. Returns none if there are no numbers.
pub(crate) fn pack(numbers: &(impl Iterator<Item = u64> + Clone)) -> Option<PackedNumbers> {
    let numbers = || numbers.clone().filter(|number| *number <= NUMBER_MAX);
    let first_byte = numbers().min()? / 8;
    let last_byte = numbers().max()? / 8;
    let byte_of = |number: u64| usize::try_from(number / 8 - first_byte).unwrap_or(usize::MAX);
    let mut bytes = vec![0_u8; byte_of(last_byte * 8) + 1];
    for number in numbers() {
        bytes[byte_of(number)] |= 0x80 >> (number % 8);
    }
    Some(PackedNumbers { first_byte, bytes })
}

/// The first and the last period in which a fan who is present may have been seen. Later periods than the current one
/// count too: the clocks of instances differ, and a fan may be seen between the reading of the clock and the sweep.
pub(crate) fn periods_within_grace(presence: Presence) -> (i64, i64) {
    const LATER_PERIODS: i64 = 2;
    (presence.period() - Presence::PERIODS, presence.period() + LATER_PERIODS)
}

/// How long Redis keeps the bitmap of a period after the last write. It is read for at most one and a quarter times the grace.
pub(crate) fn seen_ttl_ms(presence: Presence) -> u64 {
    millis(presence.grace) * 2 + millis(CLOCK_SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_begins_with_the_byte_of_the_lowest_number() {
        let packed = pack(&[17, 8, 15, 17].into_iter()).expect("three numbers");
        assert_eq!(packed, PackedNumbers { first_byte: 1, bytes: vec![0b1000_0001, 0b0100_0000] });
    }

    #[test]
    fn numbers_above_the_maximum_are_left_out() {
        assert_eq!(pack(&[u64::MAX].into_iter()), None);
        assert_eq!(pack(&[u64::MAX, 0].into_iter()), Some(PackedNumbers { first_byte: 0, bytes: vec![0b1000_0000] }));
    }
}
