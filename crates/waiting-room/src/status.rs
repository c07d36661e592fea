//! Where a fan stands.

use std::sync::Arc;

use encore_domain::queue::{EndReason, QueueMessage, Wait};
use encore_domain::time::Timestamp;

use crate::queue_view::QueuePhase;

/// Where a fan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueStatus {
    /// In a queue whose numbers are still to be drawn.
    PreQueued {
        /// When they are drawn.
        opens_at: Timestamp,
        /// How many have joined and not left.
        people_waiting: u64,
        /// What operators say.
        message: Option<Arc<QueueMessage>>,
    },
    /// In the queue.
    Waiting(Waiting),
    /// May use guarded calls.
    Admitted {
        /// The deadline.
        until: Timestamp,
    },
    /// Over.
    Ended(Ending),
}

/// What a fan in the queue is sent.
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
    /// What the queue is doing.
    pub phase: QueuePhase,
    /// What operators say.
    pub message: Option<Arc<QueueMessage>>,
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
pub struct ObservedStatus {
    /// When.
    pub observed_at: Timestamp,
    /// What.
    pub status: QueueStatus,
    /// For who is admitted: the queue token that says so, good even where the queue cannot be asked.
    pub admitted_token: Option<String>,
}

impl QueueStatus {
    /// What to tell who was sent something before: a fan who was admitted is not sent of a view from before that, and a position
    /// that was sent never grows.
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
        QueueStatus::Waiting(Waiting { position, people_waiting, wait, seats_left: 9, phase, message: None })
    }

    #[test]
    fn a_position_never_grows() {
        assert_eq!(waiting(7, 9).after(None), waiting(7, 9));
        assert_eq!(waiting(5, 8).after(Some(&waiting(7, 9))), waiting(5, 8));
        assert_eq!(waiting(7, 12).after(Some(&waiting(5, 8))), waiting(5, 12));
    }

    #[test]
    fn who_was_admitted_does_not_wait_again() {
        let admitted = QueueStatus::Admitted { until: Timestamp::UNIX_EPOCH };
        let ended = QueueStatus::Ended(Ending::Token(EndReason::Used));
        assert_eq!(waiting(1, 1).after(Some(&admitted)), admitted);
        assert_eq!(ended.clone().after(Some(&admitted)), ended);
        assert_eq!(admitted.clone().after(Some(&waiting(1, 1))), admitted);
    }
}
