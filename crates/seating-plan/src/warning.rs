use std::collections::HashMap;
use std::fmt;

use encore_domain::catalog::seat_chart::CHART_NAME_MAX_LEN;

use crate::path::Path;

/// The most warnings that are listed: a person reads them all.
pub const WARNINGS_MAX: usize = 100;

/// Something in a plan that is imported otherwise than its author may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanWarning {
    /// The JSON path of the value, such as `$.zones[0].rows[2]`.
    pub path: String,
    /// What was found and what was done, such as `sells nothing and is skipped`.
    pub text: String,
}

impl fmt::Display for PlanWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.text)
    }
}

/// The warnings found so far, in the order in which they were found. Only the first [`WARNINGS_MAX`] are kept; all are counted.
#[derive(Default)]
pub(crate) struct Warnings<'v> {
    listed: Vec<PlanWarning>,
    found: usize,
    /// The keys that are not understood, by the kind of their object: where the first is listed, if it is, and how many there are.
    unknown_keys: HashMap<(&'static str, &'v str), (Option<usize>, usize)>,
}

impl<'v> Warnings<'v> {
    pub(crate) fn add(&mut self, path: &Path<'_>, text: impl Into<String>) {
        self.add_at(path.to_string(), text.into());
    }

    /// Adds a key that is not understood. The same key in another object of the same kind is counted and not listed again.
    pub(crate) fn unknown_key(&mut self, path: &Path<'_>, kind: &'static str, key: &'v str) {
        if let Some((_, times)) = self.unknown_keys.get_mut(&(kind, key)) {
            *times += 1;
            return;
        }
        let shown: String = key.chars().take(CHART_NAME_MAX_LEN).flat_map(char::escape_debug).collect();
        let at = self.add_at(format!("{path}.{shown}"), String::new());
        self.unknown_keys.insert((kind, key), (at, 1));
    }

    /// Returns the index of the warning, if it is listed.
    fn add_at(&mut self, path: String, text: String) -> Option<usize> {
        self.found += 1;
        (self.listed.len() < WARNINGS_MAX).then(|| {
            self.listed.push(PlanWarning { path, text });
            self.listed.len() - 1
        })
    }

    /// The list. If there are more than [`WARNINGS_MAX`], its last entry says how many are not listed.
    pub(crate) fn into_list(mut self) -> Vec<PlanWarning> {
        for (at, times) in self.unknown_keys.into_values() {
            if let Some(warning) = at.and_then(|at| self.listed.get_mut(at)) {
                let more = times - 1;
                let elsewhere = if more > 0 { format!(", here and in {more} more places") } else { String::new() };
                warning.text = format!("is not understood and is ignored{elsewhere}");
            }
        }
        if self.found > WARNINGS_MAX {
            self.listed.truncate(WARNINGS_MAX - 1);
            let text = format!("has {} more warnings, which are not listed", self.found - self.listed.len());
            self.listed.push(PlanWarning { path: Path::Root.to_string(), text });
        }
        self.listed
    }
}
