//! The status of a fan's queue token, as it is sent to the fan.

use std::sync::Arc;

use encore_domain::queue::{EndReason, QueueMessage, Wait};
use encore_domain::time::Timestamp;

use crate::view::QueuePhase;

/// The status of a queue token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueStatus {
    /// In the pre-queue. The numbers are not drawn yet.
    PreQueued {
        /// When they are drawn.
        opens_at: Timestamp,
        /// How many fans have joined and not left.
        people_waiting: u64,
        /// The operators' message.
        message: Option<Arc<QueueMessage>>,
    },
    /// In the queue.
    Waiting(Waiting),
    /// Active: the fan may use guarded calls.
    Admitted {
        /// The deadline.
        until: Timestamp,
    },
    /// Ended.
    Ended(Ending),
}

/// The status of a waiting token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many fans of the lane are called up to and including this one: 1 is next.
    pub position: u64,
    /// The position among those of the lane who want the same kind of seat: no fewer fans are called before this one.
    pub position_by_need: u64,
    /// How many fans wait in all lanes.
    pub people_waiting: u64,
    /// The estimated wait.
    pub wait: Wait,
    /// How many seats are free that the fan may buy.
    pub seats_left: u32,
    /// What the queue does for the fan.
    pub phase: QueuePhase,
    /// The operators' message.
    pub message: Option<Arc<QueueMessage>>,
}

/// Why a status is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The token ended.
    Token(EndReason),
    /// The sale closed while the fan waited.
    SaleClosed,
}

/// A status and the moment of which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedStatus {
    /// When the status was true.
    pub observed_at: Timestamp,
    /// The status.
    pub status: QueueStatus,
}

impl QueueStatus {
    /// The status to send after `sent`. A fan who was admitted is not sent a status from before the admission. A position never
    /// grows.
    pub(crate) fn after(self, sent: Option<&Self>) -> Self {
        match (sent, self) {
            (Some(Self::Admitted { until }), Self::Waiting(_) | Self::PreQueued { .. }) => {
                Self::Admitted { until: *until }
            }
            (Some(Self::Waiting(sent)), Self::Waiting(now)) => {
                Self::Waiting(Waiting { position: now.position.min(sent.position), ..now })
            }
            (_, now) => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(position: u64, people_waiting: u64) -> QueueStatus {
        let (wait, phase) = (Wait::default(), QueuePhase::Open);
        let position_by_need = position;
        QueueStatus::Waiting(Waiting {
            position,
            position_by_need,
            people_waiting,
            wait,
            seats_left: 9,
            phase,
            message: None,
        })
    }

    #[test]
    fn a_position_never_grows() {
        assert_eq!(waiting(7, 9).after(None), waiting(7, 9));
        assert_eq!(waiting(5, 8).after(Some(&waiting(7, 9))), waiting(5, 8));
        let later = waiting(7, 12).after(Some(&waiting(5, 8)));
        assert!(matches!(later, QueueStatus::Waiting(Waiting { position: 5, people_waiting: 12, .. })), "{later:?}");
    }

    #[test]
    fn a_fan_who_was_admitted_does_not_wait_again() {
        let admitted = QueueStatus::Admitted { until: Timestamp::UNIX_EPOCH };
        let ended = QueueStatus::Ended(Ending::Token(EndReason::Used));
        assert_eq!(waiting(1, 1).after(Some(&admitted)), admitted);
        assert_eq!(ended.clone().after(Some(&admitted)), ended);
        assert_eq!(admitted.clone().after(Some(&waiting(1, 1))), admitted);
    }
}
