//! Why an operation on the seat map failed.

use encore_domain::error::Unavailable;
use thiserror::Error;

use crate::contexts::ContextError;

/// Why an operation on the seat map failed. Seats are named by their ids.
#[derive(Debug, Error)]
pub enum SeatMapError {
    /// Some seats are held, sold or blocked.
    #[error("seats are taken: {}", seat_ids.join(", "))]
    Taken {
        /// Which.
        seat_ids: Vec<String>,
        /// The version of the seat state in which they are taken.
        version: u64,
    },
    /// The hold would leave seats without a free neighbour.
    #[error("seats would be orphaned: {}", seat_ids.join(", "))]
    WouldOrphan {
        /// Which.
        seat_ids: Vec<String>,
    },
    /// No free seats fit the search.
    #[error("no {count} free seats fit")]
    NoneFits {
        /// How many were searched for.
        count: usize,
    },
    /// A general admission area has too few free units.
    #[error("{area} has {left} free units, and {count} are wanted")]
    TooFewLeft {
        /// The name of the area.
        area: String,
        /// How many were searched for.
        count: usize,
        /// How many are free.
        left: u32,
    },
    /// The fan would have more seats than one fan may.
    #[error("at most {limit} seats per fan, of which {owned} are held or bought already")]
    OverLimit {
        /// How many one fan may have.
        limit: u32,
        /// How many the fan has.
        owned: u32,
    },
    /// The call may be a repeat; see [`TakeRefusal::MayRepeat`](encore_domain::ports::TakeRefusal::MayRepeat).
    #[error("the reservation may have been placed before")]
    MayRepeat,
    /// This instance has as many replicas as it may have, or the fan as many streams, or so many choose seats that the turn did not come
    /// in time.
    #[error("too many seat maps are watched, or too many choose seats")]
    Overloaded,
    /// The time of a watcher is over; see [`SeatWatch::until`](crate::SeatWatch::until).
    #[error("the watch has expired")]
    WatchExpired,
    /// The performance, its concert or its venue could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A store is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
