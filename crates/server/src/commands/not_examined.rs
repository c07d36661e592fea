//! Why the seat feed could not be compared with the claims.

use std::io;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use thiserror::Error;
use tokio::task::JoinError;

/// Why the feed could not be compared with the claims.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum NotExamined {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("there is no performance {0}")]
    NoPerformance(PerformanceId),
    #[error("there is no {0}")]
    NoFeed(String),
    #[error("cannot read {what}")]
    Read { what: String, source: io::Error },
    #[error("the feed of the performance is held back by the event {event_id}: {reason}")]
    HeldBack { event_id: String, reason: String },
    #[error("the feed has not caught up within {0:?}: no instance relays, or the publisher is away")]
    Behind(Duration),
    #[error("{0} seats changed faster than the feed could be read")]
    Undecided(usize),
    #[error("a task panicked or was cancelled")]
    Task(#[from] JoinError),
}
