//! Turning a queue up beyond a ceiling is refused unless it is meant.

use encore_domain::queue::QueueRate;
use encore_domain::queue::ceilings::QueueCeilings;

use crate::error::AppError;

/// A rate and a maximum that a queue is to get, as far as they are set.
pub(crate) struct TurnedUp {
    /// The path of the settings in the request.
    pub(crate) settings: &'static str,
    pub(crate) rate: Option<QueueRate>,
    pub(crate) max_active: Option<u32>,
    /// Whether they may be beyond a ceiling.
    pub(crate) is_meant: bool,
}

impl TurnedUp {
    /// Refuses what is beyond its ceiling and not meant.
    pub(crate) fn check(self, ceilings: QueueCeilings) -> Result<(), AppError> {
        let Self { settings, rate, max_active, is_meant } = self;
        let exceeded = if is_meant { Vec::new() } else { ceilings.exceeded_by(rate, max_active) };
        if exceeded.is_empty() { Ok(()) } else { Err(AppError::QueueCeilingExceeded { settings, exceeded }) }
    }
}
