//! Ceilings for the throughput of a queue, which a request exceeds only with an explicit override.

use encore_domain::queue::QueueRate;
use encore_domain::queue::ceilings::QueueCeilings;

use crate::error::AppError;

/// The rate and the `max_active` that a request sets, if any.
pub(crate) struct RequestedThroughput {
    /// The path of the settings in the request.
    pub(crate) settings: &'static str,
    pub(crate) rate: Option<QueueRate>,
    pub(crate) max_active: Option<u32>,
    /// Whether they may exceed their ceilings.
    pub(crate) override_ceiling: bool,
}

impl RequestedThroughput {
    /// Refuses a value that exceeds its ceiling without an override.
    pub(crate) fn check(self, ceilings: QueueCeilings) -> Result<(), AppError> {
        let Self { settings, rate, max_active, override_ceiling } = self;
        let exceeded = if override_ceiling { Vec::new() } else { ceilings.exceeded_by(rate, max_active) };
        if exceeded.is_empty() { Ok(()) } else { Err(AppError::QueueCeilingExceeded { settings, exceeded }) }
    }
}
