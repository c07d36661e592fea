//! Searching the catalogue by words.

use thiserror::Error;

use crate::catalog::folding::words_of;
use crate::text::normalized;

/// The longest text that is searched for, in characters.
pub const SEARCH_MAX_CHARS: usize = 100;
/// The most words of such a text.
pub const SEARCH_MAX_WORDS: usize = 10;

/// The words by which something is found: without case, accents and punctuation, sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchWords(Vec<String>);

impl SearchWords {
    /// The words of these texts together.
    pub fn of(texts: &[&str]) -> Self {
        let mut words: Vec<String> = texts.iter().flat_map(|text| words_of(text)).collect();
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    /// The words.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// What is searched for: each of its words must be the beginning of a word that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search(SearchWords);

/// The text cannot be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be at most {SEARCH_MAX_CHARS} characters without control, invisible or unassigned characters, with 1 to \
     {SEARCH_MAX_WORDS} words of letters or digits"
)]
pub struct NotASearch;

impl Search {
    /// Reads the text that somebody searches for.
    pub fn parse(text: &str) -> Result<Self, NotASearch> {
        let text = normalized(text).filter(|text| text.chars().count() <= SEARCH_MAX_CHARS).ok_or(NotASearch)?;
        let words = SearchWords::of(&[&text]);
        if (1..=SEARCH_MAX_WORDS).contains(&words.0.len()) { Ok(Self(words)) } else { Err(NotASearch) }
    }

    /// The beginnings of words.
    pub fn beginnings(&self) -> &[String] {
        self.0.as_slice()
    }

    /// Whether something with these words is found.
    pub fn finds(&self, words: &SearchWords) -> bool {
        self.0.0.iter().all(|beginning| words.0.iter().any(|word| word.starts_with(beginning.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::folding::WORD_MAX_CHARS;

    fn finds(search: &str, text: &str) -> bool {
        Search::parse(search).expect("a search").finds(&SearchWords::of(&[text]))
    }

    #[test]
    fn words_are_found_by_their_beginnings_in_any_order() {
        assert_eq!(SearchWords::of(&["The Wall, the tour", "2026"]).as_slice(), ["2026", "the", "tour", "wall"]);
        assert!(finds("tou WALL", "The Wall (Tour)"));
        assert!(!finds("all", "The Wall"), "not in the middle of a word");
        assert!(!finds("wall paper", "The Wall"), "every word must be found");
    }

    #[test]
    fn accents_case_and_forms_of_letters_do_not_matter() {
        for (search, text) in [
            ("beyonce", "Beyoncé"),
            ("BJÖRK", "Bjork"),
            ("istanbul", "İSTANBUL"),
            ("fi", "ﬁnale"),
            ("23", "２３"),
            ("сплин", "Сплин"),
            ("방탄", "방탄소년단"),
        ] {
            assert!(finds(search, text), "{search:?} in {text:?}");
        }
    }

    #[test]
    fn what_has_no_words_or_too_many_is_refused() {
        let eleven = "a b c d e f g h i j k";
        for text in ["", "  ", "!!!", "a\u{200B}b", eleven, &"a".repeat(SEARCH_MAX_CHARS + 1)] {
            assert_eq!(Search::parse(text), Err(NotASearch), "{text:?}");
        }
        assert!(Search::parse(&eleven[2..]).is_ok());
        assert!(Search::parse(&"a".repeat(SEARCH_MAX_CHARS)).is_ok());
    }

    #[test]
    fn a_word_is_compared_as_far_as_it_is_kept() {
        // One character of this kind stands for eighteen.
        let long = "\u{FDFA}".repeat(200);
        assert!(SearchWords::of(&[&long]).as_slice().iter().all(|word| word.chars().count() <= WORD_MAX_CHARS));
        assert!(finds(&"x".repeat(90), &"x".repeat(60)));
    }
}
