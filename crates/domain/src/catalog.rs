//! The catalogue: venues, concerts, performances and their prices.

pub mod area;
pub mod draft;
pub mod drawing;
mod folding;
pub mod listing;
pub mod location;
pub mod performance_change;
pub mod row_layout;
pub mod search;
pub mod seat_chart;
mod slot;
pub mod sort_key;
pub mod venue_revision;

use std::time::Duration;

use thiserror::Error;

use crate::catalog::location::Location;
use crate::catalog::performance_change::Amendments;
use crate::catalog::search::SearchWords;
use crate::catalog::seat_chart::SeatChart;
use crate::catalog::slot::Slot;
use crate::ids::{ConcertId, PerformanceId, VenueId};
use crate::money::{Currency, Money};
use crate::queue::Queue;
use crate::text::words;
use crate::time::Timestamp;

/// The longest title, in characters.
pub const TITLE_MAX_CHARS: usize = 200;
/// How long a hold lives by default.
pub const HOLD_DEFAULT: Duration = Duration::from_mins(5);
/// The shortest hold. A person needs this long to pay.
pub const HOLD_MIN: Duration = Duration::from_secs(10);
/// The longest hold. A longer one would block seats that other fans want.
pub const HOLD_MAX: Duration = Duration::from_mins(30);
/// How many seats of a performance one fan may hold and buy by default.
pub const SEATS_PER_FAN_DEFAULT: u32 = 8;
/// The highest such limit.
pub const SEATS_PER_FAN_MAX: u32 = 100;

/// A name of a venue, concert or artist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

/// The text cannot be a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {TITLE_MAX_CHARS} characters without control, invisible or unassigned characters")]
pub struct NotATitle;

impl Title {
    /// Reads a title, [`normalized`](crate::text::normalized).
    pub fn parse(text: &str) -> Result<Self, NotATitle> {
        words(text, TITLE_MAX_CHARS).map(Self).ok_or(NotATitle)
    }

    /// The title.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A venue. It does not change once imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Venue {
    /// Made at import.
    pub id: VenueId,
    /// Shown to people.
    pub name: Title,
    /// Where it is. Venues that were imported without it have none.
    pub location: Option<Location>,
    /// Its sections, rows, seats and grades.
    pub chart: SeatChart,
    /// When it was imported.
    pub created_at: Timestamp,
}

impl Venue {
    /// The words by which it is found: those of its name and its city.
    pub fn search_words(&self) -> SearchWords {
        let city = self.location.as_ref().map_or("", |location| location.city.as_str());
        SearchWords::of(&[self.name.as_str(), city])
    }
}

/// A concert, which is performed on one or more dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concert {
    /// Made at creation.
    pub id: ConcertId,
    /// Shown to people.
    pub title: Title,
    /// Who plays.
    pub artist: Title,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Concert {
    /// The words by which it is found: those of its title and its artist.
    pub fn search_words(&self) -> SearchWords {
        SearchWords::of(&[self.title.as_str(), self.artist.as_str()])
    }
}

/// Seats may be held from `opens_at` (inclusive) to `closes_at` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnSaleWindow {
    /// The first moment of the sale.
    pub opens_at: Timestamp,
    /// The first moment after the sale.
    pub closes_at: Timestamp,
}

/// The sale is not open at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotOnSale {
    /// It opens later.
    #[error("the sale opens at {opens_at}")]
    NotYet {
        /// When it opens.
        opens_at: Timestamp,
    },
    /// It has closed.
    #[error("the sale closed at {closed_at}")]
    Over {
        /// When it closed.
        closed_at: Timestamp,
    },
}

impl OnSaleWindow {
    /// Checks whether seats may be held at `now`.
    pub fn check(&self, now: Timestamp) -> Result<(), NotOnSale> {
        if now < self.opens_at {
            Err(NotOnSale::NotYet { opens_at: self.opens_at })
        } else if now >= self.closes_at {
            Err(NotOnSale::Over { closed_at: self.closes_at })
        } else {
            Ok(())
        }
    }
}

/// The prices of the grades of a venue that are for sale, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// The currency of every price.
    pub currency: Currency,
    /// Minor units, by the index of the grade in the seat chart; none if its seats are not for sale.
    pub minor_by_grade: Vec<Option<i64>>,
}

impl PriceList {
    /// The price of a seat of this grade; none if it is not for sale, or the grade is not of the venue.
    pub fn of(&self, grade: u16) -> Option<Money> {
        let minor = (*self.minor_by_grade.get(usize::from(grade))?)?;
        Some(Money { minor, currency: self.currency })
    }

    /// The lowest and the highest price; none if nothing is for sale.
    pub fn range(&self) -> Option<(Money, Money)> {
        let money = |minor: &i64| Money { minor: *minor, currency: self.currency };
        let prices = || self.minor_by_grade.iter().flatten();
        Some((prices().min().map(money)?, prices().max().map(money)?))
    }

    /// Whether there is a seat or unit at this slot that is for sale.
    pub fn sells(&self, chart: &SeatChart, slot: Slot) -> bool {
        chart.grade_at(slot).is_some_and(|grade| self.of(grade).is_some())
    }
}

/// One date of a concert at a venue. The settings of its queue are stored separately, because they change during a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// Made at creation.
    pub id: PerformanceId,
    /// What is played.
    pub concert: ConcertId,
    /// Where.
    pub venue: VenueId,
    /// When the show begins.
    pub starts_at: Timestamp,
    /// When seats may be held.
    pub on_sale: OnSaleWindow,
    /// What a seat costs.
    pub prices: PriceList,
    /// How many seats one fan may own, held plus sold.
    pub seats_per_fan: u32,
    /// How long a hold lives.
    pub hold_for: Duration,
    /// Whether fans must pass a queue before they may see and hold seats.
    pub has_queue: bool,
    /// What became of it after it was published.
    pub amended: Amendments,
}

/// A performance that is on sale, or whose pre-queue is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnSale {
    /// Which.
    pub performance: PerformanceId,
    /// When the sale opens. Before that, only the pre-queue is open.
    pub opens_at: Timestamp,
    /// The queue in front of it.
    pub queue: Option<Queue>,
}
