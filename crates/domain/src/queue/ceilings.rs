//! Ceilings for the rate and the maximum of a queue. An operator must confirm a value above them, because a mistyped zero would
//! admit many fans at once.

use thiserror::Error;

use crate::queue::QueueRate;

/// The highest rate and maximum that need no confirmation; none means that there is no ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCeilings {
    /// Admissions per second.
    pub rate_per_second: Option<u32>,
    /// Fans inside at once.
    pub max_active: Option<u32>,
}

/// A setting exceeds its ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CeilingExceeded {
    /// The rate.
    #[error("more than {ceiling} admissions a second must be confirmed")]
    Rate {
        /// [`QueueCeilings::rate_per_second`].
        ceiling: u32,
    },
    /// The maximum.
    #[error("a maximum of more than {ceiling} must be confirmed")]
    MaxActive {
        /// [`QueueCeilings::max_active`].
        ceiling: u32,
    },
}

impl QueueCeilings {
    /// Which of these settings exceed their ceilings. A setting that is not set exceeds none.
    pub fn exceeded_by(&self, rate: Option<QueueRate>, max_active: Option<u32>) -> Vec<CeilingExceeded> {
        let rate = rate.zip(self.rate_per_second).filter(|(rate, ceiling)| is_faster(*rate, *ceiling));
        let max_active = max_active.zip(self.max_active).filter(|(max_active, ceiling)| max_active > ceiling);
        let rate = rate.map(|(_, ceiling)| CeilingExceeded::Rate { ceiling });
        rate.into_iter().chain(max_active.map(|(_, ceiling)| CeilingExceeded::MaxActive { ceiling })).collect()
    }
}

/// Whether `admissions / period` is more than this many a second, without rounding.
fn is_faster(rate: QueueRate, per_second: u32) -> bool {
    const NANOS_PER_SECOND: u128 = 1_000_000_000;
    u128::from(rate.admissions) * NANOS_PER_SECOND > u128::from(per_second) * rate.period.as_nanos()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CEILINGS: QueueCeilings = QueueCeilings { rate_per_second: Some(20), max_active: Some(500) };

    fn rate(admissions: u32, period_ms: u64) -> QueueRate {
        QueueRate { admissions, period: Duration::from_millis(period_ms) }
    }

    #[test]
    fn a_rate_is_compared_as_a_fraction() {
        for at_the_ceiling in [rate(200, 10_000), rate(2, 100), rate(72_000, 3_600_000)] {
            assert_eq!(CEILINGS.exceeded_by(Some(at_the_ceiling), None), [], "{at_the_ceiling:?}");
        }
        for beyond in [rate(201, 10_000), rate(2, 99), rate(3, 100), rate(72_001, 3_600_000), rate(u32::MAX, 1)] {
            assert_eq!(CEILINGS.exceeded_by(Some(beyond), None), [CeilingExceeded::Rate { ceiling: 20 }], "{beyond:?}");
        }
    }

    #[test]
    fn all_that_is_beyond_is_said() {
        assert_eq!(CEILINGS.exceeded_by(None, Some(500)), []);
        let both = [CeilingExceeded::Rate { ceiling: 20 }, CeilingExceeded::MaxActive { ceiling: 500 }];
        assert_eq!(CEILINGS.exceeded_by(Some(rate(21, 1_000)), Some(501)), both);
        assert_eq!(CEILINGS.exceeded_by(Some(rate(20, 1_000)), Some(501)), both[1..]);
    }

    #[test]
    fn what_has_no_ceiling_exceeds_none() {
        assert_eq!(QueueCeilings::default().exceeded_by(Some(rate(u32::MAX, 1)), Some(u32::MAX)), []);
    }
}
