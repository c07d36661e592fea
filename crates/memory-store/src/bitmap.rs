use std::ops::RangeInclusive;

use encore_domain::queue::NumberMap;

/// A set of numbers. The most significant bit of the first byte is number 0, as in [`NumberMap`].
#[derive(Default)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    pub fn insert(&mut self, number: u64) {
        let (byte, bit) = position(number);
        if byte >= self.0.len() {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] |= bit;
    }

    pub fn remove(&mut self, number: u64) {
        let (byte, bit) = position(number);
        if let Some(bits) = self.0.get_mut(byte) {
            *bits &= !bit;
        }
    }

    pub fn contains(&self, number: u64) -> bool {
        let (byte, bit) = position(number);
        self.0.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// The first of these numbers that is not in the bitmap.
    pub fn first_missing(&self, numbers: RangeInclusive<u64>) -> Option<u64> {
        let (mut number, last) = numbers.into_inner();
        while number <= last {
            let (byte, bit) = position(number);
            let full = || self.0.get(byte..).unwrap_or_default().iter().take_while(|bits| **bits == u8::MAX).count();
            match if bit == FIRST_BIT { full() as u64 } else { 0 } {
                0 if self.contains(number) => number += 1,
                0 => return Some(number),
                full => number += 8 * full,
            }
        }
        None
    }

    /// A copy of the bytes from that of this number on.
    pub fn from(&self, number: u64) -> BitmapTail {
        let (byte, _) = position(number);
        BitmapTail { first: number / 8 * 8, bytes: self.0.get(byte..).unwrap_or_default().to_vec() }
    }
}

/// The end of a bitmap. It is converted to a [`NumberMap`], which counts its bits, after the mutex is released.
pub struct BitmapTail {
    first: u64,
    bytes: Vec<u8>,
}

impl From<BitmapTail> for NumberMap {
    fn from(tail: BitmapTail) -> Self {
        Self::from_bytes(tail.first, &tail.bytes)
    }
}

const FIRST_BIT: u8 = 0x80;

fn position(number: u64) -> (usize, u8) {
    let byte = usize::try_from(number / 8).unwrap_or(usize::MAX);
    (byte, FIRST_BIT >> (number % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_missing_finds_the_first_number_outside_the_bitmap() {
        let mut bitmap = Bitmap::default();
        assert_eq!(bitmap.first_missing(3..=3), Some(3));
        for number in 1..=100 {
            bitmap.insert(number);
        }
        bitmap.remove(7);
        for (from, to, found) in [(0, 9, Some(0)), (1, 9, Some(7)), (8, 100, None), (8, 300, Some(101)), (9, 8, None)] {
            assert_eq!(bitmap.first_missing(from..=to), found, "{from} to {to}");
        }
    }
}
