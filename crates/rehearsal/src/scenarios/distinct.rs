//! Seats enough for everybody: pairs of neighbours over several dates, no seat in two of them.

use std::sync::Arc;
use std::time::Duration;

use encore_proto::booking::v1::Reservation;
use tonic::Status;
use uuid::Uuid;

use crate::hall::PerformanceContext;
use crate::operator::Terms;
use crate::rehearsal::{RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};

/// Seats of each date.
const SEATS_PER_DATE: u32 = 20_000;
/// How many seats one fan may have of a date: as many as the server lets.
const SEATS_PER_FAN: u32 = 100;
/// Longer than any part scenario.
const HOLD_FOR: Duration = Duration::from_mins(30);

/// Fans, and pairs of seats for them. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct DistinctSeats {
    pub(super) callers: Callers,
    pub(super) performances: Arc<[String]>,
    pairs: Arc<[[String; 2]]>,
    seed: u64,
}

impl DistinctSeats {
    /// Puts so many pairs at least on sale, without a line, and makes so many fans.
    pub(super) async fn on_sale(run: &Run<'_>, pairs: u64, fans: u64) -> Result<Self, RehearsalError> {
        let hall = PerformanceContext::of(SEATS_PER_DATE);
        let pairs_per_date: Arc<[[String; 2]]> = hall.pairs().into();
        let dates = pairs.div_ceil(u64::try_from(pairs_per_date.len()).unwrap_or(u64::MAX));
        let terms = Terms { seats_per_fan: SEATS_PER_FAN, hold_for: HOLD_FOR, queue: None };
        let sale = run.stage.operator.put_on_sale(hall, &terms, u32::try_from(dates).unwrap_or(u32::MAX));
        let performances: Arc<[String]> = sale.await.map_err(RehearsalError::setup("the sale"))?.into();
        let callers = Callers::make(run, fans).await?;
        for performance in performances.iter() {
            callers.look_at(performance).await.map_err(RehearsalError::setup("looking at the seats"))?;
        }
        Ok(Self { callers, performances, pairs: pairs_per_date, seed: run.args.seed })
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.pairs.len() * self.performances.len()).unwrap_or(u64::MAX)
    }

    /// Holds the pair of this number, for the fan of this number.
    pub(super) async fn hold(&self, number: u64) -> Result<Reservation, Status> {
        let dates = u64::try_from(self.performances.len()).unwrap_or(u64::MAX);
        // Dates in turn, as a tour sells.
        let date = usize::try_from(number % dates).unwrap_or(0);
        let pair = &self.pairs[usize::try_from(number / dates).unwrap_or(0) % self.pairs.len()];
        self.callers.turn(number).hold(self.request(number, 0), &self.performances[date], pair).await
    }

    /// A request id for the call of this number; `purpose` tells several apart.
    pub(super) fn request(&self, number: u64, purpose: u64) -> Uuid {
        request_id(self.seed, purpose, number)
    }
}
