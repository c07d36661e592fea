//! Holding distinct seats, two at a time.

use crate::load::Outcome;
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::scenarios::distinct::DistinctSeats;
use crate::scenarios::part::{Beside, baselines, saturate_and_pace};

/// How many fans hold by default; each holds again and again.
const FANS: u64 = 10_000;
/// How many pairs of seats are there for each second of both phases: more than a small machine holds.
const PAIRS_PER_SECOND: u64 = 10_000;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("seats enough for everybody");
    let pairs = PAIRS_PER_SECOND * run.args.phase().as_secs() * 2;
    let seats = DistinctSeats::on_sale(run, pairs, run.fans(FANS)).await?;
    let holding = seats.clone();
    let measurements = saturate_and_pace(run, "HoldSeats", seats.len(), move |number| {
        let seats = holding.clone();
        async move { Outcome::of(&seats.hold(number).await) }
    });
    let measurements = measurements.await;
    let beside = [Beside::Redis, Beside::Commits, Beside::HoldForUpdate];
    let baselines = baselines(run, &beside, &measurements).await;
    Ok(Findings { measurements, baselines, performances: seats.performances.to_vec(), ..Findings::default() })
}
