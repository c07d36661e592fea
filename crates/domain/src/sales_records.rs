//! What those who work for the house look up about the reservations and payments of all fans.

use crate::ids::{PerformanceId, UserId};
use crate::time::Timestamp;

/// Whose records a listing has. There is none of all records, because no index serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOf {
    /// Those of a fan, in all performances.
    Fan(UserId),
    /// Those of a performance, of all fans.
    Performance(PerformanceId),
    /// Those of a fan in a performance.
    FanIn(UserId, PerformanceId),
}

impl RecordsOf {
    /// The records of a fan, of a performance, or of the fan in the performance. None if neither is given.
    pub fn new(fan: Option<UserId>, performance: Option<PerformanceId>) -> Option<Self> {
        match (fan, performance) {
            (Some(fan), None) => Some(Self::Fan(fan)),
            (None, Some(performance)) => Some(Self::Performance(performance)),
            (Some(fan), Some(performance)) => Some(Self::FanIn(fan, performance)),
            (None, None) => None,
        }
    }

    /// Whether a record of this fan is listed. One without a performance, which is a top-up, is listed of the fan only.
    pub fn admits(&self, fan: UserId, performance: Option<PerformanceId>) -> bool {
        match self {
            Self::Fan(of) => *of == fan,
            Self::Performance(of) => Some(*of) == performance,
            Self::FanIn(of, at) => *of == fan && Some(*at) == performance,
        }
    }
}

/// A range of times. What is absent does not restrict it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The moment after the last one.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Whether the moment is in the range.
    pub fn admits(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_top_up_is_listed_of_its_fan_only() {
        let (fan, show) = (UserId(Uuid::from_u128(1)), PerformanceId(Uuid::from_u128(2)));
        let all = [(Some(fan), None), (None, Some(show)), (Some(fan), Some(show))];
        let of: Vec<RecordsOf> = all.iter().filter_map(|(fan, show)| RecordsOf::new(*fan, *show)).collect();
        let admitted = |fan, show| of.iter().map(|of| of.admits(fan, show)).collect::<Vec<_>>();
        assert_eq!(admitted(fan, Some(show)), [true, true, true]);
        assert_eq!(admitted(fan, None), [true, false, false]);
        assert_eq!(admitted(UserId(Uuid::from_u128(3)), Some(show)), [false, true, false]);
        assert_eq!(RecordsOf::new(None, None), None);
    }
}
