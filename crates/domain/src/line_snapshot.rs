//! A copy of a line at one moment, from which any number of fans read their own exact position in constant time.

use std::collections::HashMap;

use crate::time::Timestamp;

const BITS_PER_WORD: u64 = 64;

/// Which numbers from `first` on have left the line without being called: a bitmap, and before each of its words the
/// count of all bits that came earlier (a rank directory), so that counting up to any number costs one lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoneMap {
    first: u64,
    words: Vec<u64>,
    ranks: Vec<u64>,
}

impl GoneMap {
    /// Reads a bitmap as Redis keeps it: the most significant bit of the first byte stands for number `first`.
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

    /// Whether this number is gone.
    pub fn contains(&self, number: u64) -> bool {
        self.locate(number).is_some_and(|(word, bit)| self.words[word] & (1 << (BITS_PER_WORD - 1 - bit)) != 0)
    }

    /// How many numbers below this one are gone.
    pub fn count_below(&self, number: u64) -> u64 {
        match self.locate(number) {
            Some((word, 0)) => self.ranks[word],
            Some((word, bit)) => {
                let before = self.words[word] >> (BITS_PER_WORD - bit);
                self.ranks[word] + u64::from(before.count_ones())
            }
            None if number < self.first => 0,
            None => self.ranks.last().map_or(0, |rank| rank + u64::from(self.words[self.words.len() - 1].count_ones())),
        }
    }

    fn locate(&self, number: u64) -> Option<(usize, u64)> {
        let offset = number.checked_sub(self.first)?;
        let word = usize::try_from(offset / BITS_PER_WORD).ok()?;
        (word < self.words.len()).then_some((word, offset % BITS_PER_WORD))
    }
}

/// A line at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineSnapshot {
    /// Which run of the line; see [`QueueTicket::epoch`](crate::queue::QueueTicket::epoch).
    pub epoch: i64,
    /// The last number called.
    pub head: u64,
    /// The last number given out.
    pub tail: u64,
    /// Which numbers after `head` are gone.
    pub gone: GoneMap,
    /// Who was called and has not come yet, with the end of the claim window.
    pub called: HashMap<u64, Timestamp>,
    /// Who is inside, with the deadline.
    pub active: HashMap<u64, Timestamp>,
}

/// What a snapshot says about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This many people will be called before and including this one.
    Waiting {
        /// 1 is next.
        position: u64,
    },
    /// Called: it is time to come.
    Called,
    /// Inside.
    Active {
        /// The deadline.
        until: Timestamp,
    },
    /// Over; the line itself knows why.
    Ended,
}

impl LineSnapshot {
    /// Where a number of this run of the line stands.
    pub fn standing(&self, number: u64) -> Standing {
        if number > self.head {
            if self.gone.contains(number) {
                return Standing::Ended;
            }
            let gone_ahead = self.gone_between(self.head, number);
            return Standing::Waiting { position: number - self.head - gone_ahead };
        }
        if let Some(until) = self.active.get(&number) {
            Standing::Active { until: *until }
        } else if self.called.contains_key(&number) {
            Standing::Called
        } else {
            Standing::Ended
        }
    }

    /// How many people wait.
    pub fn waiting(&self) -> u64 {
        let numbers = self.tail.saturating_sub(self.head);
        numbers.saturating_sub(self.gone_between(self.head, self.tail + 1))
    }

    /// How many numbers strictly between the two are gone.
    fn gone_between(&self, head: u64, number: u64) -> u64 {
        self.gone.count_below(number).saturating_sub(self.gone.count_below(head + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bitmap with these numbers set, cut so that it begins at the byte of `from`.
    fn gone(numbers: &[u64], from: u64) -> GoneMap {
        let mut bytes = [0_u8; 40];
        for number in numbers {
            bytes[(number / 8) as usize] |= 0x80 >> (number % 8);
        }
        let first_byte = from / 8;
        GoneMap::from_bytes(first_byte * 8, &bytes[first_byte as usize..])
    }

    #[test]
    fn counting_agrees_with_counting_one_by_one() {
        let numbers = [3, 64, 65, 127, 128, 200, 255];
        for from in [0, 9, 70] {
            let map = gone(&numbers, from);
            for number in from..400 {
                let expected = numbers.iter().filter(|n| **n >= from / 8 * 8 && **n < number).count() as u64;
                assert_eq!(map.count_below(number), expected, "below {number}, map from {from}");
                assert_eq!(map.contains(number), numbers.contains(&number), "{number}");
            }
        }
    }

    #[test]
    fn a_position_counts_those_ahead_who_are_still_there() {
        let line = LineSnapshot { head: 2, tail: 300, gone: gone(&[4, 5, 200], 2), ..LineSnapshot::default() };
        assert_eq!(line.standing(3), Standing::Waiting { position: 1 });
        assert_eq!(line.standing(4), Standing::Ended);
        assert_eq!(line.standing(6), Standing::Waiting { position: 2 });
        assert_eq!(line.standing(300), Standing::Waiting { position: 295 });
        assert_eq!(line.waiting(), 295);
    }

    #[test]
    fn a_called_number_is_called_active_or_over() {
        let until = Timestamp::UNIX_EPOCH;
        let line = LineSnapshot {
            head: 3,
            tail: 3,
            called: HashMap::from([(2, until)]),
            active: HashMap::from([(3, until)]),
            ..LineSnapshot::default()
        };
        assert_eq!(line.standing(1), Standing::Ended);
        assert_eq!(line.standing(2), Standing::Called);
        assert_eq!(line.standing(3), Standing::Active { until });
        assert_eq!(line.waiting(), 0);
    }
}
