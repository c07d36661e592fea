//! Refuses the identifiers that were given up: `docs/given-up-names.md` lists them beside `docs/glossary.md`.

mod given_up;
mod identifiers;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::given_up::GivenUp;
use self::identifiers::{Identifier, Language};
use crate::outcome::Outcome;
use crate::workspace;

const TABLE: &str = "docs/given-up-names.md";
const FOLDERS: [&str; 4] = ["crates", "migrations", "proto", "tests"];

/// Prints every identifier that was given up, once per file.
pub(crate) fn run() -> Outcome {
    let top = workspace::root();
    let table = fs::read_to_string(top.join(TABLE)).map_err(|error| format!("{TABLE} cannot be read: {error}"))?;
    let given_up = given_up::read(&table).map_err(|error| format!("{TABLE}: {error}"))?;
    let mut violations = Vec::new();
    for (path, language) in files(&top)? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        violations.extend(violations_in(path.strip_prefix(&top)?, language, &text, &given_up)?);
    }
    for violation in &violations {
        eprintln!("glossary: {violation}");
    }
    if violations.is_empty() {
        println!("glossary: no identifier that was given up is in use");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The files that are checked, in a stable order.
fn files(top: &Path) -> Result<Vec<(PathBuf, Language)>, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.map(|folder| top.join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(language) = Language::of(&path) {
                files.push((path, language));
            }
        }
    }
    files.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(files)
}

/// The identifiers of a file and the names on its path that were given up, in sentences.
fn violations_in(path: &Path, language: Language, text: &str, given_up: &[GivenUp]) -> Result<Vec<String>, String> {
    let at = path.display();
    let mut violations = Vec::new();
    for name in path.iter().filter_map(|component| Path::new(component).file_stem()?.to_str()) {
        if let Some(violated) = violated(&name.replace('-', "_"), language, given_up) {
            violations.push(format!("{at}: the path says `{name}`: {violated}"));
        }
    }
    let mut first_lines = BTreeMap::new();
    for Identifier { name, line } in language.identifiers(text).map_err(|error| format!("{at}: {error}"))? {
        let first = first_lines.entry(name).or_insert(line);
        *first = line.min(*first);
    }
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (name, line) in first_lines {
        if let Some(violated) = violated(&name, language, given_up) {
            lines.push((line, format!("{at}:{line}: `{name}`: {violated}")));
        }
    }
    lines.sort();
    violations.extend(lines.into_iter().map(|(_, violation)| violation));
    Ok(violations)
}

fn violated(identifier: &str, language: Language, given_up: &[GivenUp]) -> Option<String> {
    let violated = given_up.iter().find(|given_up| given_up.refuses(identifier, language))?;
    Some(format!("`{}` was given up, use {}", violated.name, violated.replacement))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "
| given up | use instead | refused as | in |
|---|---|---|---|
| `queue_ticket` | `QueueTokenPayload` | words | |
| `Lines` | `QueueStore` | whole | |
| `line` | `queue` | words | proto, SQL |
";

    fn violations_of(path: &str, text: &str) -> Vec<String> {
        let path = Path::new(path);
        let given_up = given_up::read(NAMES).expect("a table");
        violations_in(path, Language::of(path).expect("a language"), text, &given_up).expect("source text")
    }

    #[test]
    fn an_identifier_that_was_given_up_is_reported_once_with_its_replacement() {
        let text = "use queue::QueueTicket;\nstruct Fan { ticket: QueueTicket, old: MemoryLines, store: Lines }";
        assert_eq!(
            violations_of("crates/app/src/fan.rs", text),
            [
                "crates/app/src/fan.rs:1: `QueueTicket`: `queue_ticket` was given up, use `QueueTokenPayload`",
                "crates/app/src/fan.rs:2: `Lines`: `Lines` was given up, use `QueueStore`",
            ]
        );
    }

    #[test]
    fn innocent_words_remain() {
        let text = "fn f(line: &str) { for line in line.lines() { tickets(line, \"Lines\") } } // QueueTicket";
        assert_eq!(violations_of("crates/app/src/fan.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_name_may_be_given_up_in_some_languages_only() {
        assert_eq!(
            violations_of("migrations/1_queues/up.sql", "-- a line\nCREATE TABLE line_draws ();"),
            ["migrations/1_queues/up.sql:2: `line_draws`: `line` was given up, use `queue`"]
        );
        assert_eq!(violations_of("crates/redis-store/src/join.lua", "local line = KEYS[1]"), Vec::<String>::new());
    }

    #[test]
    fn names_of_files_and_folders_are_checked() {
        assert_eq!(
            violations_of("crates/app/src/queue_ticket.rs", ""),
            [
                "crates/app/src/queue_ticket.rs: the path says `queue_ticket`: `queue_ticket` was given up, use `QueueTokenPayload`"
            ]
        );
        assert_eq!(violations_of("proto/encore/line/v1/a.proto", "").len(), 1);
    }

    #[test]
    fn the_table_of_the_project_is_well_formed() {
        let table = fs::read_to_string(workspace::root().join(TABLE)).expect("the table");
        let given_up = given_up::read(&table).expect("well-formed rows");
        let refused = |identifier| given_up.iter().any(|given_up| given_up.refuses(identifier, Language::Rust));
        for identifier in ["QueueTicket", "used_tickets", "LineKeeper", "SPOTS", "demo_hall", "SetLineMessageRequest"] {
            assert!(refused(identifier), "{identifier}");
        }
        for identifier in ["lines", "line", "stage", "Stage", "place", "books_two_seats", "capacity", "ticket"] {
            assert!(!refused(identifier), "{identifier}");
        }
    }
}
