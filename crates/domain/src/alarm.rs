//! What operators must know at once.

use std::fmt;

/// How soon somebody must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// In the next hours.
    Warning,
    /// Now: a promise is at stake, or money.
    Critical,
}

impl Severity {
    /// The name by which operators know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that operators must know. It names records by their ids and has no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What kind of alarm it is, such as `refund_failed`.
    pub name: &'static str,
    /// How soon somebody must act.
    pub severity: Severity,
    /// What it is about, such as `payment=…`; empty if there is one such thing. An alarm is sent once per subject.
    pub subject: String,
    /// What happened.
    pub summary: String,
    /// What to do.
    pub action: &'static str,
}
