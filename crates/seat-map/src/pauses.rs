//! Pauses after work that reads all claims of a performance, in proportion to how long it took: while a sale has tens of thousands of
//! claims, or the machine is busy, such work takes a small part of what holds need.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use tokio::time::Instant;

use crate::mutex::lock;

/// How many times as long as the work a pause is.
const TIMES: u32 = 30;

/// The performances that are left alone for now.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<PerformanceId, Instant>>);

impl Pauses {
    /// Leaves a performance alone after work that took this long.
    pub(crate) fn begin(&self, performance: PerformanceId, took: Duration) {
        let now = Instant::now();
        let mut until = lock(&self.0);
        until.retain(|_, until| *until > now);
        until.insert(performance, now + took * TIMES);
    }

    /// Whether work may be done on a performance.
    pub(crate) fn are_over(&self, performance: PerformanceId) -> bool {
        lock(&self.0).get(&performance).is_none_or(|until| *until <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_as_long_as_the_work_times_thirty() {
        let pauses = Pauses::default();
        let (busy, quiet) = (fixtures::id(), fixtures::id());
        assert!(pauses.are_over(busy), "nothing was done yet");
        pauses.begin(busy, Duration::from_millis(100));
        pauses.begin(quiet, Duration::ZERO);
        assert!(!pauses.are_over(busy));
        assert!(pauses.are_over(quiet));
        tokio::time::advance(Duration::from_millis(2_999)).await;
        assert!(!pauses.are_over(busy));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(pauses.are_over(busy));
    }
}
