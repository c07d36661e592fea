//! A set of numbers of a lane.

const BITS_PER_WORD: u64 = 64;

/// A set of numbers from `first` on. It is a bitmap with a rank directory: for each word, the count of all bits before it. So
/// counting the bits below any number is one lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberMap {
    first: u64,
    words: Vec<u64>,
    ranks: Vec<u64>,
}

impl NumberMap {
    /// Reads a bitmap in which the most significant bit comes first: bit 7 of the first byte stands for number `first`, bit 6
    /// for the next number, and so on.
    pub fn from_bytes(first: u64, bytes: &[u8]) -> Self {
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(word)
            })
            .collect();
        let ranks = words
            .iter()
            .scan(0, |count, word| {
                let before = *count;
                *count += u64::from(word.count_ones());
                Some(before)
            })
            .collect();
        Self { first, words, ranks }
    }

    /// Whether this number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.locate(number).is_some_and(|(word, bit)| self.words[word] & (1 << (BITS_PER_WORD - 1 - bit)) != 0)
    }

    /// The lowest number.
    pub fn lowest(&self) -> Option<u64> {
        let (word, bits) = self.words.iter().enumerate().find(|(_, bits)| **bits != 0)?;
        Some(self.first + BITS_PER_WORD * word as u64 + u64::from(bits.leading_zeros()))
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u64 {
        self.ranks.last().map_or(0, |rank| rank + u64::from(self.words[self.words.len() - 1].count_ones()))
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many numbers below this one are in the set.
    pub fn count_below(&self, number: u64) -> u64 {
        match self.locate(number) {
            Some((word, 0)) => self.ranks[word],
            Some((word, bit)) => {
                let before = self.words[word] >> (BITS_PER_WORD - bit);
                self.ranks[word] + u64::from(before.count_ones())
            }
            None if number < self.first => 0,
            None => self.len(),
        }
    }

    fn locate(&self, number: u64) -> Option<(usize, u64)> {
        let offset = number.checked_sub(self.first)?;
        let word = usize::try_from(offset / BITS_PER_WORD).ok()?;
        (word < self.words.len()).then_some((word, offset % BITS_PER_WORD))
    }
}

/// A bitmap with these numbers set, cut so that it begins at the byte of `from`.
#[cfg(test)]
pub(super) fn written(numbers: &[u64], from: u64) -> NumberMap {
    let mut bytes = [0_u8; 40];
    for number in numbers {
        bytes[(number / 8) as usize] |= 0x80 >> (number % 8);
    }
    let first_byte = from / 8;
    NumberMap::from_bytes(first_byte * 8, &bytes[first_byte as usize..])
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn counting_agrees_with_counting_one_by_one() {
        let numbers = [3, 64, 65, 127, 128, 200, 255];
        for from in [0, 9, 70] {
            let map = written(&numbers, from);
            for number in from..400 {
                let expected = numbers.iter().filter(|n| **n >= from / 8 * 8 && **n < number).count() as u64;
                assert_eq!(map.count_below(number), expected, "below {number}, map from {from}");
                assert_eq!(map.contains(number), numbers.contains(&number), "{number}");
            }
        }
    }
}
