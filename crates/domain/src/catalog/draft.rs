//! Performances that are planned and not public yet.

use thiserror::Error;

use crate::catalog::Performance;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::ids::PerformanceId;
use crate::queue::{Queue, QueueDraw, QueueSettings};
use crate::time::Timestamp;

/// A performance as it will be when it is published. Nothing of it can be seen or bought before: it is not among the performances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The performance. Publishing keeps the id.
    pub performance: Performance,
    /// Its queue, if it will have one.
    pub queue: Option<DraftQueue>,
    /// What has become of it.
    pub state: DraftState,
}

/// The queue of a draft. The key of a draw is made when the draft is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftQueue {
    /// How it will admit fans.
    pub settings: QueueSettings,
    /// When fans may join before the opening; none if they may not.
    pub pre_queue_opens_at: Option<Timestamp>,
}

impl DraftQueue {
    /// The queue with the draw that it needs.
    pub fn queue(&self, draw: Option<QueueDraw>) -> Queue {
        Queue { settings: self.settings.clone(), draw }
    }
}

/// What has become of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftState {
    /// It can be changed, published and withdrawn.
    Open,
    /// It is a performance now.
    Published,
    /// It was given up.
    Withdrawn,
}

impl DraftState {
    /// The name, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Published, Self::Withdrawn].into_iter().find(|state| state.name() == name)
    }
}

/// Why a draft was not changed, published or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DraftRefusal {
    /// There is no draft of this id.
    #[error("there is no such draft: {0}")]
    Unknown(PerformanceId),
    /// It has been published or withdrawn.
    #[error("the draft is {}", .0.name())]
    Ended(DraftState),
    /// It is not what the caller looked at.
    #[error("the draft was changed meanwhile")]
    Changed,
}

/// Something for which a draft cannot be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The show has begun.
    StartsInThePast,
    /// The sale would never be open.
    SaleIsOver,
    /// Nothing is for sale.
    NoSeats,
    /// A grade has no price, and nobody said that its seats are not for sale.
    GradeWithoutPrice(String),
    /// A grade has a price, and somebody said that its seats are not for sale.
    PriceOfGradeNotForSale(String),
}

impl Draft {
    /// Checks that a draft can still be changed.
    pub fn check_open(&self) -> Result<(), DraftRefusal> {
        match self.state {
            DraftState::Open => Ok(()),
            ended @ (DraftState::Published | DraftState::Withdrawn) => Err(DraftRefusal::Ended(ended)),
        }
    }

    /// Everything for which it cannot be published at `now`, at the venue of this chart. The seats of the grades of these names are
    /// kept from sale deliberately.
    pub fn obstacles(&self, chart: &SeatChart, now: Timestamp, not_for_sale: &[String]) -> Vec<Obstacle> {
        let Performance { starts_at, on_sale, prices, .. } = &self.performance;
        let mut obstacles = Vec::new();
        if *starts_at <= now {
            obstacles.push(Obstacle::StartsInThePast);
        }
        if on_sale.closes_at <= now {
            obstacles.push(Obstacle::SaleIsOver);
        }
        for (grade, price) in chart.grades().iter().zip(&prices.minor_by_grade) {
            match (price.is_some(), not_for_sale.contains(&grade.name)) {
                (false, false) => obstacles.push(Obstacle::GradeWithoutPrice(grade.name.clone())),
                (true, true) => obstacles.push(Obstacle::PriceOfGradeNotForSale(grade.name.clone())),
                (true, false) | (false, true) => {}
            }
        }
        if !(0..chart.slots()).any(|slot| prices.sells(chart, Slot(slot))) {
            obstacles.push(Obstacle::NoSeats);
        }
        obstacles
    }
}
