//! The table of the names that were given up.

use super::identifiers::Language;

/// A name that was given up.
pub(super) struct GivenUp {
    pub(super) name: String,
    pub(super) replacement: String,
    extent: Extent,
    /// Where it is refused; everywhere if empty.
    languages: Vec<Language>,
}

/// Which identifiers are refused.
enum Extent {
    /// Those that contain these words side by side.
    Words(Vec<String>),
    /// The one that is the name.
    Whole,
}

impl GivenUp {
    pub(super) fn refuses(&self, identifier: &str, language: Language) -> bool {
        let here = self.languages.is_empty() || self.languages.contains(&language);
        here && match &self.extent {
            Extent::Words(refused) => words(identifier).windows(refused.len()).any(|words| words == refused),
            Extent::Whole => identifier == self.name,
        }
    }
}

/// Reads the rows of the Markdown table whose first column names identifiers.
pub(super) fn read(markdown: &str) -> Result<Vec<GivenUp>, String> {
    let mut given_up = Vec::new();
    for row in markdown.lines().filter(|line| line.starts_with("| `")) {
        given_up.extend(read_row(row).ok_or_else(|| format!("no row of four columns that can be read: {row}"))?);
    }
    if given_up.is_empty() { Err("no names are listed".to_owned()) } else { Ok(given_up) }
}

fn read_row(row: &str) -> Option<Vec<GivenUp>> {
    let cells: Vec<&str> = row.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [names, replacement, extent, languages] = cells[..] else { return None };
    let name = |cell: &str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let names = names.split(',').map(name).collect::<Option<Vec<_>>>()?;
    let languages = languages.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Language::named);
    let languages: Vec<Language> = languages.collect::<Option<_>>()?;
    let given_up = |name: String| {
        let extent = match extent {
            "words" => Extent::Words(words(&name)),
            "whole" => Extent::Whole,
            _ => return None,
        };
        Some(GivenUp { name, replacement: replacement.to_owned(), extent, languages: languages.clone() })
    };
    names.into_iter().map(given_up).collect()
}

/// The words of an identifier in any case style, in lower case: `HTTPServer_v2` has `http`, `server` and `v2`.
fn words(identifier: &str) -> Vec<String> {
    let letters: Vec<char> = identifier.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut begins = true;
    for (at, letter) in letters.iter().enumerate() {
        if *letter == '_' {
            begins = true;
            continue;
        }
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after_lower = before.is_some_and(|before| !before.is_uppercase());
        let before_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        begins |= letter.is_uppercase() && (after_lower || before_lower);
        if begins {
            words.push(String::new());
            begins = false;
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(row: &str, identifier: &str) -> bool {
        read(row).expect("a row").iter().any(|given_up| given_up.refuses(identifier, Language::Rust))
    }

    #[test]
    fn the_words_of_every_case_style_are_found() {
        let expected = ["seat", "board", "max"];
        for identifier in ["seat_board_max", "SeatBoardMax", "SEAT_BOARD_MAX", "seatBoardMax", "_seat__board_max"] {
            assert_eq!(words(identifier), expected, "{identifier}");
        }
        assert_eq!(words("HTTPServer_v2"), ["http", "server", "v2"]);
    }

    #[test]
    fn words_are_refused_side_by_side_and_not_as_a_part_of_a_word() {
        let row = "| `seat_board`, `spot` | replica | words | |";
        for identifier in ["seat_board", "SeatBoard", "SEAT_BOARD", "memory_seat_board_of", "SpotSearch", "spot"] {
            assert!(refuses(row, identifier), "{identifier}");
        }
        for identifier in ["seat_boards", "board_seat", "seat_big_board", "spotlight", "despot"] {
            assert!(!refuses(row, identifier), "{identifier}");
        }
    }

    #[test]
    fn a_whole_name_is_refused_as_it_is_written() {
        let row = "| `Lines` | `QueueStore` | whole | |";
        assert!(refuses(row, "Lines"));
        for identifier in ["lines", "LINES", "LinesOf", "RedisLines"] {
            assert!(!refuses(row, identifier), "{identifier}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error() {
        for row in [
            "| `Lines` | `QueueStore` | whole |",
            "| `Lines` | `QueueStore` | part | |",
            "| `Lines` | `QueueStore` | whole | Fortran |",
            "| `Lines`, rows | `QueueStore` | whole | |",
            "no table",
        ] {
            assert!(read(row).is_err(), "{row}");
        }
    }
}
