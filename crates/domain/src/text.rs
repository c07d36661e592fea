//! Text from outside, in one form: what looks the same is the same text.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The zero-width non-joiner and the zero-width joiner. Persian, Indic scripts and emoji are written with them.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];
/// Letters, marks and symbols that are drawn as nothing or as a space.
const BLANKS: [char; 8] =
    ['\u{034F}', '\u{115F}', '\u{1160}', '\u{17B4}', '\u{17B5}', '\u{2800}', '\u{3164}', '\u{FFA0}'];

/// The text in normalization form C, trimmed, with one space for each run of white space. `None` if it has a character
/// that nobody sees or that has no meaning yet: a control or format character, an unassigned or a private one.
///
/// Joiners and variation selectors are taken only after characters outside ASCII, which they can change. Every text that
/// is stored or compared goes through this function before its length is checked. The result is returned unchanged if it
/// goes through again.
pub fn normalized(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("  ") {
        return Some(Cow::Borrowed(text));
    }
    let mut normalized = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.nfc().peekable();
    while let Some(character) = characters.next() {
        let character = if character.is_whitespace() && !character.is_control() { ' ' } else { character };
        if character == ' ' && before == ' ' {
            continue;
        }
        if !is_visible(before, character, characters.peek().copied()) {
            return None;
        }
        normalized.push(character);
        before = character;
    }
    Some(Cow::Owned(normalized))
}

/// A normalized text of 1 to `max` characters.
pub(crate) fn words(text: &str, max: usize) -> Option<String> {
    let words = normalized(text)?;
    (1..=max).contains(&words.chars().count()).then(|| words.into_owned())
}

fn is_visible(before: char, character: char, after: Option<char>) -> bool {
    if JOINERS.contains(&character) {
        let joins = |neighbour: char| !neighbour.is_ascii() && !JOINERS.contains(&neighbour);
        return joins(before) && after.is_some_and(joins);
    }
    if is_variation_selector(character) {
        return !before.is_ascii() && !is_variation_selector(before);
    }
    let without_meaning = matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::Unassigned
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
    );
    !without_meaning && !BLANKS.contains(&character)
}

fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        normalized(text).map(Cow::into_owned)
    }

    #[test]
    fn what_looks_the_same_is_the_same_text() {
        for text in ["Zo\u{EB} Ronstadt", "Zoe\u{308} Ronstadt", "  Zo\u{EB}\u{A0}\u{3000}Ronstadt\t"] {
            assert_eq!(of(text).as_deref(), Some("Zo\u{EB} Ronstadt"), "{text:?}");
        }
        assert_eq!(of("Floor ").as_deref(), Some("Floor"));
        assert_eq!(of("Upper  Floor").as_deref(), Some("Upper Floor"));
        assert_eq!(of(" \u{2003}\n").as_deref(), Some(""));
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        let unseen = [
            '\0',
            '\n',
            '\u{7F}',
            '\u{85}',
            '\u{AD}',
            '\u{200B}',
            '\u{200E}',
            '\u{202E}',
            '\u{2066}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{378}',
            '\u{E000}',
            '\u{FFFF}',
            '\u{3164}',
            '\u{2800}',
            '\u{FE0F}',
            '\u{200D}',
        ];
        for character in unseen {
            assert_eq!(of(&format!("Flo{character}or")), None, "{character:?}");
        }
        for text in ["\u{FEFF}Floor", "Floor\u{200B}", "Floor\u{200D}", "\u{644}\u{200D}", "\u{2764}\u{FE0F}\u{FE0F}"] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_script_can_be_written() {
        let texts = [
            "BTS 방탄소년단",
            "宇多田ヒカル",
            "می\u{200C}خواهم",
            "Beyoncé",
            "❤\u{FE0F}\u{200D}🔥",
            "क्\u{200D}ष",
            "Ke$ha №1",
        ];
        for text in texts {
            let written = of(text).expect(text);
            assert_eq!(of(&written).as_ref(), Some(&written), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_normalized_text() {
        assert_eq!(words(&format!(" {} ", "e\u{301}".repeat(3)), 3).as_deref(), Some("ééé"));
        assert_eq!(words("éééé", 3), None);
        assert_eq!(words(" ", 3), None);
    }
}
