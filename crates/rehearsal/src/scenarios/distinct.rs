//! Seats enough for everybody: pairs of neighbours, no seat in two of them, on dates that nobody has used before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encore_proto::booking::v1::Reservation;
use tonic::Status;
use uuid::Uuid;

use crate::operator::{Sale, Terms};
use crate::scenario::{RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::venue::Venue;

/// Seats of each date.
const SEATS_PER_DATE: u32 = 20_000;
/// How many seats one fan may have of a date: as many as the server lets.
const SEATS_PER_FAN: u32 = 100;
/// Longer than the rehearsal of single calls.
const HOLD_FOR: Duration = Duration::from_mins(30);

/// Fans, and a sale whose dates they hold seats of. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct DistinctSeats {
    pub(super) callers: Callers,
    pub(super) sale: Sale,
    pairs: Arc<[[String; 2]]>,
    seed: u64,
    /// Counts slices, so that each has request ids of its own.
    purposes: Arc<AtomicU64>,
}

/// Dates of which nothing is held. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    seats: DistinctSeats,
    performances: Arc<[String]>,
    purpose: u64,
}

impl DistinctSeats {
    /// Opens a sale without a queue, and makes so many fans.
    pub(super) async fn open(run: &Run<'_>, fans: u64) -> Result<Self, RehearsalError> {
        let venue = Venue::of(SEATS_PER_DATE);
        let terms = Terms { seats_per_fan: SEATS_PER_FAN, hold_for: HOLD_FOR, queue: None };
        let sale =
            run.environment.operator.open_sale(venue, &terms).await.map_err(RehearsalError::setup("the sale"))?;
        let callers = Callers::make(run, fans).await?;
        Ok(Self { callers, sale, pairs: venue.pairs().into(), seed: run.args.seed, purposes: Arc::default() })
    }

    /// New dates with so many pairs of seats at least.
    pub(super) async fn dates(&self, pairs: u64) -> Result<Dates, Status> {
        let per_date = u64::try_from(self.pairs.len()).unwrap_or(u64::MAX);
        let performances = self.sale.dates(pairs.div_ceil(per_date)).await?;
        for performance in &performances {
            self.callers.look_at(performance).await?;
        }
        let purpose = self.purpose();
        Ok(Dates { seats: self.clone(), performances: performances.into(), purpose })
    }

    /// A number that no other slice has.
    pub(super) fn purpose(&self) -> u64 {
        self.purposes.fetch_add(1, Ordering::Relaxed)
    }

    /// A request id for the call of this number.
    pub(super) fn request(&self, purpose: u64, number: u64) -> Uuid {
        request_id(self.seed, purpose, number)
    }
}

impl Dates {
    /// How many pairs there are.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.seats.pairs.len() * self.performances.len()).unwrap_or(u64::MAX)
    }

    /// Holds the pair of this number, for the fan of this number.
    pub(super) async fn hold(&self, number: u64) -> Result<Reservation, Status> {
        let dates = u64::try_from(self.performances.len()).unwrap_or(u64::MAX);
        // Dates in turn, as a tour sells.
        let date = usize::try_from(number % dates).unwrap_or(0);
        let pair = &self.seats.pairs[usize::try_from(number / dates).unwrap_or(0) % self.seats.pairs.len()];
        let request = self.seats.request(self.purpose, number);
        self.seats.callers.turn(number).hold(request, &self.performances[date], pair).await
    }
}
