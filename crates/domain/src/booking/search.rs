//! What a fan lets the server choose.

use crate::booking::best_available::SeatSearch;
use crate::booking::unit_search::UnitSearch;

/// A search for free seats or free units.
#[derive(Clone, Debug)]
pub enum Search {
    /// The best seats.
    Seats(SeatSearch),
    /// Units of a general admission area.
    Units(UnitSearch),
}
