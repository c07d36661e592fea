//! Many numbers as one string of bits, so that presence is reported per instance and not per fan.

use std::time::Duration;

use encore_domain::ports::Presence;

use crate::reply::millis;

/// The highest number that is reported as present. A higher one can only come from a queue token of a queue that was made
/// anew, and would cost a bitmap of as many bits.
const NUMBER_MAX: u64 = 1 << 26;
/// How long a period's bitmap is kept beyond twice the grace: instances' clocks differ.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// A piece of a bitmap in Redis's order: the most significant bit of the first byte stands for number `8 * first_byte`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackedNumbers {
    pub(crate) first_byte: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Packs numbers in any order; none if there is none.
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

/// The periods, first and last, of which a number that is still there must be in one. Instances' clocks differ, and a fan may be
/// seen between the reading of the clock and the sweep: what was seen in a later period counts as well.
pub(crate) fn periods_within_grace(presence: Presence) -> (i64, i64) {
    const LATER_PERIODS: i64 = 2;
    (presence.period() - Presence::PERIODS, presence.period() + LATER_PERIODS)
}

/// How long Redis keeps the bitmap of a period after it was written to. It is read for a grace and a quarter at most.
pub(crate) fn seen_ttl_ms(presence: Presence) -> u64 {
    millis(presence.grace) * 2 + millis(CLOCK_SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_from_the_byte_of_the_lowest() {
        let packed = pack(&[17, 8, 15, 17].into_iter()).expect("three numbers");
        assert_eq!(packed, PackedNumbers { first_byte: 1, bytes: vec![0b1000_0001, 0b0100_0000] });
    }

    #[test]
    fn numbers_that_no_line_reaches_are_left_out() {
        assert_eq!(pack(&[u64::MAX].into_iter()), None);
        assert_eq!(pack(&[u64::MAX, 0].into_iter()), Some(PackedNumbers { first_byte: 0, bytes: vec![0b1000_0000] }));
    }
}
