//! What a fan lets the server choose, in the step that takes.

use encore_domain::booking::best_available::SeatSearch;
use encore_domain::booking::unit_search::UnitSearch;

use crate::error::AppError;

/// A choice to be made.
#[derive(Clone, Debug)]
pub enum Choice {
    /// The best seats.
    Best(SeatSearch),
    /// Units of a general admission area.
    Units {
        /// What to look for.
        search: UnitSearch,
        /// The name of the area.
        area: String,
    },
}

impl Choice {
    /// Whether all who choose on the same state choose the same; else they are spread.
    pub(crate) fn meets_others(&self) -> bool {
        matches!(self, Self::Best(_))
    }

    /// The refusal where nothing can be chosen; `left` says how many units are free, which says nothing of seats.
    pub(crate) fn refusal(&self, left: u32) -> AppError {
        match self {
            Self::Best(SeatSearch { count, .. }) => AppError::NoSeatsFit { count: *count },
            Self::Units { search, area } => AppError::TooFewLeft { area: area.clone(), count: search.count, left },
        }
    }
}
