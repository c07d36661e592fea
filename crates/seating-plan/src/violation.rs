use std::fmt;

use crate::path::Path;

/// The most violations that are listed: a plan of another format has a violation at every seat, and nobody reads all of them.
pub const VIOLATIONS_MAX: usize = 1_000;

/// A value of a plan that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanViolation {
    /// The JSON path of the value, such as `$.zones[0].rows[2].seats[5].category`.
    pub path: String,
    /// The rule that the value breaks, such as `must be a string`.
    pub rule: String,
}

impl PlanViolation {
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self { path: Path::Root.to_string(), rule: format!("is not JSON: {error}") }
    }
}

impl fmt::Display for PlanViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.rule)
    }
}

/// The violations found so far. Only the first [`VIOLATIONS_MAX`] are kept; all are counted.
#[derive(Default)]
pub(crate) struct Violations {
    listed: Vec<PlanViolation>,
    found: usize,
}

impl Violations {
    pub(crate) fn add(&mut self, path: &Path<'_>, rule: impl Into<String>) {
        self.found += 1;
        if self.listed.len() < VIOLATIONS_MAX {
            self.listed.push(PlanViolation { path: path.to_string(), rule: rule.into() });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found == 0
    }

    /// The list. If there are more than [`VIOLATIONS_MAX`], its last entry says how many are not listed.
    pub(crate) fn into_list(mut self) -> Vec<PlanViolation> {
        if self.found > VIOLATIONS_MAX {
            self.listed.truncate(VIOLATIONS_MAX - 1);
            let more = self.found - self.listed.len();
            let rule = format!("has {more} more violations, which are not listed");
            self.listed.push(PlanViolation { path: Path::Root.to_string(), rule });
        }
        self.listed
    }
}
