//! Forgets requests of holds after a while.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::ports::{Clock, RequestRecords};
use encore_domain::request::ForgottenRequests;
use tracing::{error, info};

use crate::error::AppError;

/// How long a repeat of a request of a hold is recognised, unless it is configured.
pub const REQUEST_RETENTION: Duration = Duration::from_hours(30 * 24);
/// How many requests one step looks at: it takes some 10 ms.
const LOOKED_AT_ONCE: u32 = 2_000;
/// The most steps of one sweep. The next sweep goes on.
const STEPS_MAX: usize = 500;

/// Forgets requests of holds that are older than the retention.
#[derive(Clone)]
pub struct RequestRetention {
    requests: Arc<dyn RequestRecords>,
    clock: Arc<dyn Clock>,
    keep_for: Duration,
}

impl RequestRetention {
    /// Over these ports.
    pub fn new(requests: Arc<dyn RequestRecords>, clock: Arc<dyn Clock>) -> Self {
        Self { requests, clock, keep_for: REQUEST_RETENTION }
    }

    /// The same, which keeps requests for this long.
    #[must_use]
    pub fn keeping_for(self, keep_for: Duration) -> Self {
        Self { keep_for, ..self }
    }

    /// Forgets what is due, in small steps.
    pub async fn sweep(&self) -> Result<(), AppError> {
        let before = self.clock.now() - self.keep_for;
        let mut sum = ForgottenRequests::default();
        for _ in 0..STEPS_MAX {
            let ForgottenRequests { forgotten, kept } = self.requests.forget(before, LOOKED_AT_ONCE).await?;
            sum = ForgottenRequests { forgotten: sum.forgotten + forgotten, kept: sum.kept + kept };
            if forgotten + kept < u64::from(LOOKED_AT_ONCE) {
                break;
            }
        }
        if sum.kept > 0 {
            error!(
                alarm = "requests_without_hold",
                requests = sum.kept,
                "requests have no hold, so they were kept for `encore verify` to find"
            );
        }
        if sum.forgotten > 0 {
            info!(forgotten = sum.forgotten, "forgot requests of holds that were made before the retention");
        }
        Ok(())
    }
}
