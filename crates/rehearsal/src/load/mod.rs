//! Putting load on something, and measuring what comes of it.

pub mod arrivals;
pub mod drive;
pub mod outcome;
pub mod tally;

pub use arrivals::Arrivals;
pub use drive::{Load, Paced, Saturated};
pub use outcome::Outcome;
pub use tally::Tally;
