//! Holding room in one standing area, two at a time: everybody wants the same, and everybody gets it.

use std::sync::Arc;
use std::time::Duration;

use crate::hall::{AREA, PerformanceContext};
use crate::load::Outcome;
use crate::operator::Terms;
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::scenarios::part::{Beside, baselines, saturate_and_pace};

/// How many fans hold by default; each holds again and again.
const FANS: u64 = 10_000;
/// How many pairs there is room for in each second of both phases: more than a small machine holds.
const PAIRS_PER_SECOND: u64 = 10_000;
/// Seats of each date, beside the area: as many as `hold` has.
const SEATS_PER_DATE: u32 = 20_000;
/// How many seats one fan may have of a date: as many as the server lets.
const SEATS_PER_FAN: u32 = 100;
/// Longer than the rehearsal of a part.
const HOLD_FOR: Duration = Duration::from_mins(30);

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("a standing area for everybody");
    let hall = PerformanceContext::of(SEATS_PER_DATE).with_area();
    let pairs_per_date = u64::from(hall.standing() / 2);
    let dates = (PAIRS_PER_SECOND * run.args.phase().as_secs() * 2).div_ceil(pairs_per_date);
    let terms = Terms { seats_per_fan: SEATS_PER_FAN, hold_for: HOLD_FOR, queue: None };
    let sale = run.stage.operator.put_on_sale(hall, &terms, u32::try_from(dates).unwrap_or(u32::MAX));
    let performances: Arc<[String]> = sale.await.map_err(RehearsalError::setup("the sale"))?.into();
    let callers = Callers::make(run, run.fans(FANS)).await?;
    for performance in performances.iter() {
        callers.look_at(performance).await.map_err(RehearsalError::setup("looking at the seats"))?;
    }
    let (seed, dates) = (run.args.seed, Arc::clone(&performances));
    let measurements = saturate_and_pace(run, "HoldSeats", pairs_per_date * dates.len() as u64, move |number| {
        let (callers, dates) = (callers.clone(), Arc::clone(&dates));
        async move {
            // One date after the other, so that all who call at once want room in one area.
            let date = &dates[usize::try_from(number / pairs_per_date).unwrap_or(0) % dates.len()];
            let request = request_id(seed, 0, number);
            Outcome::of(&callers.turn(number).hold_units(request, date, AREA, 2).await)
        }
    });
    let measurements = measurements.await;
    let beside = [Beside::Redis, Beside::Commits, Beside::HoldForUpdate];
    let baselines = baselines(run, &beside, &measurements).await;
    Ok(Findings { measurements, baselines, performances: performances.to_vec(), ..Findings::default() })
}
