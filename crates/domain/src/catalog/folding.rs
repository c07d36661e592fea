//! Words as they are compared: without case, accents and punctuation.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How much of a word is compared, in characters.
pub(super) const WORD_MAX_CHARS: usize = 40;

/// The words of a text, in their order.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let plain: String = text.nfkd().flat_map(char::to_lowercase).filter(|letter| !is_combining_mark(*letter)).collect();
    let words = plain.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word.chars().take(WORD_MAX_CHARS).collect()).collect()
}
