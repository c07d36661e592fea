//! Holding units of one general admission area, two at a time: everybody wants the same, and everybody gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::baselines::{Kind, Way};
use crate::load::Outcome;
use crate::operator::Terms;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::scenarios::single_call::{Variant, before_pace, callers as closed_loop, compare, pace};
use crate::venue::{AREA, Venue};

/// How many fans hold by default; each holds again and again.
const FANS: u64 = 10_000;
/// Seats of each date, beside the area: as many as `hold` has.
const SEATS_PER_DATE: u32 = 20_000;
/// How many seats one fan may have of a date: as many as the server lets.
const SEATS_PER_FAN: u32 = 100;
/// Longer than the rehearsal of single calls.
const HOLD_FOR: Duration = Duration::from_mins(30);
const CALL: &str = "HoldSeats";
const BASELINES: [Kind; 4] = [Kind::Hold(Way::ForUpdate), Kind::Commits, Kind::Redis, Kind::Transport];

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("a general admission area for everybody");
    let venue = Venue::of(SEATS_PER_DATE).with_area();
    let pairs_per_date = u64::from(venue.units() / 2);
    let terms = Terms { seats_per_fan: SEATS_PER_FAN, hold_for: HOLD_FOR, queue: None };
    let sale = run.environment.operator.open_sale(venue, &terms).await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, run.fans(FANS)).await?;
    let (seed, purposes) = (run.args.seed, Arc::new(AtomicU64::new(0)));
    // A date whose area is free, and the call of each number on it.
    let fresh = {
        let (sale, callers) = (sale.clone(), callers.clone());
        move || {
            let (sale, callers, purpose) = (sale.clone(), callers.clone(), purposes.fetch_add(1, Ordering::Relaxed));
            async move {
                let date = sale.date().await?;
                callers.look_at(&date).await?;
                Ok::<_, tonic::Status>(move |number| {
                    let (callers, date, request) = (callers.clone(), date.clone(), request_id(seed, purpose, number));
                    async move { Outcome::of(&callers.turn(number).hold_units(request, &date, AREA, 2).await) }
                })
            }
        }
    };
    let variant = Variant::saturated(CALL, &BASELINES, {
        let fresh = fresh.clone();
        Box::new(move |lasts| {
            let fresh = fresh();
            Box::pin(async move {
                let holding = fresh.await.map_err(|status| status.message().to_owned())?;
                Ok(run.load.closed_loop(closed_loop(run, lasts, pairs_per_date), holding).await)
            })
        })
    });
    let mut compared = compare(run, vec![variant], before_pace(run)).await;
    if let Ok(holding) = fresh().await {
        let paced = pace(run, CALL, compared.measurements.first(), pairs_per_date, holding).await;
        compared.measurements.extend(paced);
    }
    Ok(Findings { performances: sale.performances(), ..Findings::of(compared) })
}
