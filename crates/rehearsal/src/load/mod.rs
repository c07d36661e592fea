//! Putting load on something, and measuring what comes of it.

pub mod arrivals;
mod counts;
pub mod drive;
pub mod outcome;
mod paced;
pub mod tally;

pub use arrivals::Arrivals;
pub use counts::Counted;
pub use drive::{Load, Saturated};
pub use outcome::Outcome;
pub use paced::Paced;
pub use tally::Tally;
