//! Where a fan stands.

use std::sync::Arc;

use encore_domain::queue::{EndReason, LineMessage, Wait};
use encore_domain::time::Timestamp;

use crate::line_view::LinePhase;

/// Where a fan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FanStanding {
    /// In a line whose numbers are still to be drawn.
    Collected {
        /// When they are drawn.
        opens_at: Timestamp,
        /// How many have joined and not left.
        people_waiting: u64,
        /// What operators say.
        message: Option<Arc<LineMessage>>,
    },
    /// In the line.
    Waiting(Waiting),
    /// May use guarded calls.
    Admitted {
        /// The deadline.
        until: Timestamp,
    },
    /// Over.
    Ended(Ending),
}

/// What a fan in the line is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many of the lane will be called before and including the fan: 1 is next.
    pub position: u64,
    /// How many wait in all lanes.
    pub people_waiting: u64,
    /// How long it may take.
    pub wait: Wait,
    /// Seats that are free.
    pub seats_left: u32,
    /// What the line is doing.
    pub phase: LinePhase,
    /// What operators say.
    pub message: Option<Arc<LineMessage>>,
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The token ended.
    Token(EndReason),
    /// The sale closed while the fan waited.
    SaleClosed,
}

/// A standing and when it was true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedStanding {
    /// When.
    pub observed_at: Timestamp,
    /// What.
    pub standing: FanStanding,
    /// For who is admitted: the queue token that says so, good even where the line cannot be asked.
    pub admitted_token: Option<String>,
}

impl FanStanding {
    /// What to tell who was told something before: a fan who was admitted is not told of a view from before that, and a position
    /// that was told never grows.
    pub(crate) fn after(self, told: Option<&Self>) -> Self {
        match (told, self) {
            (Some(Self::Admitted { until }), Self::Waiting(_) | Self::Collected { .. }) => {
                Self::Admitted { until: *until }
            }
            (Some(Self::Waiting(told)), Self::Waiting(now)) => {
                Self::Waiting(Waiting { position: now.position.min(told.position), ..now })
            }
            (_, now) => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(position: u64, people_waiting: u64) -> FanStanding {
        let (wait, phase) = (Wait::default(), LinePhase::Open);
        FanStanding::Waiting(Waiting { position, people_waiting, wait, seats_left: 9, phase, message: None })
    }

    #[test]
    fn a_position_never_grows() {
        assert_eq!(waiting(7, 9).after(None), waiting(7, 9));
        assert_eq!(waiting(5, 8).after(Some(&waiting(7, 9))), waiting(5, 8));
        assert_eq!(waiting(7, 12).after(Some(&waiting(5, 8))), waiting(5, 12));
    }

    #[test]
    fn who_was_admitted_does_not_wait_again() {
        let admitted = FanStanding::Admitted { until: Timestamp::UNIX_EPOCH };
        let ended = FanStanding::Ended(Ending::Token(EndReason::Used));
        assert_eq!(waiting(1, 1).after(Some(&admitted)), admitted);
        assert_eq!(ended.clone().after(Some(&admitted)), ended);
        assert_eq!(admitted.clone().after(Some(&waiting(1, 1))), admitted);
    }
}
