//! Names in the order in which people look for them.

use crate::catalog::folding::words_of;

/// How much of a name is compared, in characters. A page token carries it.
const SORT_KEY_MAX_CHARS: usize = 64;

/// A name as it is sorted: its words without case, accents and punctuation. Keys are compared byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(String);

impl SortKey {
    /// The key of a name. It is empty if the name has neither letters nor digits.
    pub fn of(name: &str) -> Self {
        Self::read(&words_of(name).join(" "))
    }

    /// Reads a key that was written before.
    pub fn read(key: &str) -> Self {
        Self(key.chars().take(SORT_KEY_MAX_CHARS).collect())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_without_case_accents_and_punctuation() {
        let mut names = ["zebra", "Étude No. 2", "Etude no 10", "\"Etude\"", "¡Hola!", "1812", "Ωmega", "???"];
        names.sort_by_key(|name| SortKey::of(name));
        assert_eq!(names, ["???", "1812", "\"Etude\"", "Etude no 10", "Étude No. 2", "¡Hola!", "zebra", "Ωmega"]);
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        // One character of this kind stands for eighteen.
        for name in ["Northern Lights", &"\u{FDFA} ".repeat(100), &"a b ".repeat(50)] {
            let key = SortKey::of(name);
            assert!(key.as_str().chars().count() <= SORT_KEY_MAX_CHARS);
            assert_eq!(SortKey::read(key.as_str()), key);
        }
    }
}
