//! The comparison of two clocks.

use std::time::Duration;

use crate::time::Timestamp;

/// Another clock, read between two readings of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Our clock before.
    pub before: Timestamp,
    /// The other clock.
    pub other: Timestamp,
    /// Our clock after.
    pub after: Timestamp,
}

impl ClockReading {
    /// By how much our clock is ahead of the other, at least, in milliseconds. Negative if it is behind. A slow reading makes this
    /// smaller, never larger.
    pub fn ahead_ms(&self) -> i64 {
        let ahead = (self.before - self.other).num_milliseconds();
        let behind = (self.other - self.after).num_milliseconds();
        if ahead > 0 { ahead } else { -behind.max(0) }
    }

    /// Whether the clocks differ by no more than this, as far as the reading can tell.
    pub fn agrees_within(&self, tolerance: Duration) -> bool {
        Duration::from_millis(self.ahead_ms().unsigned_abs()) <= tolerance
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn reading(before_ms: i64, other_ms: i64, after_ms: i64) -> ClockReading {
        let at = |ms| Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(ms);
        ClockReading { before: at(before_ms), other: at(other_ms), after: at(after_ms) }
    }

    #[test]
    fn a_clock_is_ahead_by_what_the_reading_cannot_explain() {
        assert_eq!(reading(100, 100, 100).ahead_ms(), 0);
        assert_eq!(reading(100, 150, 200).ahead_ms(), 0);
        assert_eq!(reading(100, 40, 200).ahead_ms(), 60);
        assert_eq!(reading(100, 240, 200).ahead_ms(), -40);
    }

    #[test]
    fn clocks_agree_up_to_the_tolerance_in_both_directions() {
        let tolerance = Duration::from_millis(50);
        assert!(reading(100, 50, 100).agrees_within(tolerance));
        assert!(!reading(100, 49, 100).agrees_within(tolerance));
        assert!(reading(100, 150, 100).agrees_within(tolerance));
        assert!(!reading(100, 151, 100).agrees_within(tolerance));
    }
}
