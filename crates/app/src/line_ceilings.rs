//! Turning a line up beyond a ceiling is refused unless it is meant.

use encore_domain::line_ceilings::LineCeilings;
use encore_domain::queue::LineRate;

use crate::error::AppError;

/// A rate and a cap that a line is to get, as far as they are set.
pub(crate) struct TurnedUp {
    /// The path of the settings in the request.
    pub(crate) settings: &'static str,
    pub(crate) rate: Option<LineRate>,
    pub(crate) cap: Option<u32>,
    /// Whether they may be beyond a ceiling.
    pub(crate) is_meant: bool,
}

impl TurnedUp {
    /// Refuses what is beyond its ceiling and not meant.
    pub(crate) fn check(self, ceilings: LineCeilings) -> Result<(), AppError> {
        let Self { settings, rate, cap, is_meant } = self;
        let exceeded = if is_meant { Vec::new() } else { ceilings.exceeded_by(rate, cap) };
        if exceeded.is_empty() { Ok(()) } else { Err(AppError::LineCeilingExceeded { settings, exceeded }) }
    }
}
