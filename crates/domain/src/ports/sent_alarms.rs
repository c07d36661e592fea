use async_trait::async_trait;

use crate::error::Unavailable;
use crate::time::Timestamp;

/// Which alarms were sent to operators, by all instances together.
///
/// # Contract
/// - `sending_once`: of several claims of an alarm one succeeds, and none until the moment that is given is past; another name or subject
///   is another alarm
/// - `forgetting_sent_alarms`: what was sent before a moment goes, and nothing else
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SentAlarms: Send + Sync {
    /// Notes that an alarm is sent now, unless it was sent since a moment. Returns whether it is to be sent.
    async fn claim(
        &self,
        name: &str,
        subject: &str,
        now: Timestamp,
        unless_since: Timestamp,
    ) -> Result<bool, Unavailable>;

    /// Deletes what was sent before a moment. Returns how many alarms.
    async fn forget(&self, before: Timestamp) -> Result<u64, Unavailable>;
}
