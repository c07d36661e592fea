//! Encodes numbers as the bitmaps and strings of the Redis keys. Bit or byte n stands for number n. The first bit of a
//! byte is its most significant bit.

use encore_domain::queue::EndReason;

use crate::reply::reason_byte;

/// The bitmap of these numbers, none of which is greater than `last`.
pub(crate) fn bitmap(numbers: impl IntoIterator<Item = u64>, last: u64) -> Vec<u8> {
    let mut bytes = vec![0; index(last / 8) + 1];
    for number in numbers {
        if let Some(byte) = bytes.get_mut(index(number / 8)) {
            *byte |= 0x80 >> (number % 8);
        }
    }
    bytes
}

/// The numbers of a bitmap up to `last`, in order.
pub(crate) fn numbers(bytes: &[u8], last: u64) -> Vec<u64> {
    let bits = |(byte, bits): (usize, &u8)| {
        let (first, bits) = (8 * byte as u64, *bits);
        (0..8).filter(move |bit| bits & (0x80 >> bit) != 0).map(move |bit| first + bit)
    };
    bytes.iter().enumerate().filter(|(_, bits)| **bits != 0).flat_map(bits).filter(|number| *number <= last).collect()
}

/// The string of the reasons for which these numbers ended. Empty if there are no numbers.
pub(crate) fn reasons(ended: impl IntoIterator<Item = (u64, EndReason)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, reason) in ended {
        let at = index(number);
        if at >= bytes.len() {
            bytes.resize(at + 1, 0);
        }
        bytes[at] = reason_byte(reason);
    }
    bytes
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_reads_back_as_its_numbers() {
        let bytes = bitmap([17, 8, 15, 17], 20);
        assert_eq!(bytes, [0, 0b1000_0001, 0b0100_0000]);
        assert_eq!(numbers(&bytes, 20), [8, 15, 17]);
        assert_eq!(numbers(&bytes, 16), [8, 15]);
    }

    #[test]
    fn each_reason_is_at_the_byte_of_its_number() {
        assert_eq!(reasons([(3, EndReason::Used), (1, EndReason::Left)]), [0, b'l', 0, b'u']);
        assert!(reasons([]).is_empty());
    }
}
