use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// The values of the field `alarm` in the sources below a folder.
fn alarms_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            alarms_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let names = text.split("alarm = \"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_alarm_that_is_raised_is_known_and_every_known_one_is_raised() {
    let mut raised = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("the crates") {
        let sources = entry.expect("a crate").path().join("src");
        if sources.is_dir() {
            alarms_in(&sources, &mut raised);
        }
    }
    // The name in this file, which is no alarm.
    raised.retain(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'));
    let known: BTreeSet<String> = ALARMS.iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(raised, known);
    assert_eq!(known.len(), ALARMS.len(), "each once");
}

#[test]
fn every_alarm_is_documented() {
    let manual = include_str!("../../../../docs/operating.md");
    for AlarmKind { name, severity, .. } in ALARMS {
        let row = format!("| `{name}` | {severity} |");
        assert!(manual.lines().any(|line| line.starts_with(&row)), "docs/operating.md has no row {row}");
    }
}

#[test]
fn only_the_fields_of_the_subject_are_told() {
    let field = |name: &str| match name {
        "payment" => Some("018f"),
        "email" => Some("fan@example.com"),
        _ => None,
    };
    let alarm = alarm_of("refund_failed", "a refund failed", field).expect("an alarm");
    assert_eq!((alarm.subject.as_str(), alarm.summary.as_str()), ("payment=018f", "a refund failed"));
    assert_eq!(alarm.severity, Severity::Critical);
    assert_eq!(alarm_of("no_such_alarm", "x", field), None);
}
