//! Holding distinct seats, two at a time.

use crate::baselines::{Kind, Way};
use crate::load::Outcome;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::distinct::DistinctSeats;
use crate::scenarios::single_call::{Variant, before_pace, callers, compare, enough, pace};

/// How many fans hold by default; each holds again and again.
const FANS: u64 = 10_000;
/// How many pairs of seats are there for each second: more than a small machine holds.
const PAIRS_PER_SECOND: u64 = 12_000;
const CALL: &str = "HoldSeats";
const BASELINES: [Kind; 6] = [
    Kind::Hold(Way::ForUpdate),
    Kind::Hold(Way::Optimistic),
    Kind::Hold(Way::RedisLock),
    Kind::Commits,
    Kind::Redis,
    Kind::Transport,
];

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("a sale with enough seats for everybody");
    let seats = DistinctSeats::open(run, run.fans(FANS)).await?;
    let variant = Variant::saturated(CALL, &BASELINES, {
        let seats = seats.clone();
        Box::new(move |lasts| {
            let seats = seats.clone();
            Box::pin(async move {
                let pairs = enough(PAIRS_PER_SECOND, lasts);
                let dates = seats.dates(pairs).await.map_err(|status| status.message().to_owned())?;
                let load = callers(run, lasts, dates.len());
                let holding = run.load.closed_loop(load, move |number| {
                    let dates = dates.clone();
                    async move { Outcome::of(&dates.hold(number).await) }
                });
                Ok(holding.await)
            })
        })
    });
    let mut compared = compare(run, vec![variant], before_pace(run)).await;
    if let Ok(dates) = seats.dates(enough(PAIRS_PER_SECOND, run.args.phase())).await {
        let len = dates.len();
        let paced = pace(run, CALL, compared.measurements.first(), len, move |number| {
            let dates = dates.clone();
            async move { Outcome::of(&dates.hold(number).await) }
        });
        let paced = paced.await;
        compared.measurements.extend(paced);
    }
    Ok(Findings { performances: seats.sale.performances(), ..Findings::of(compared) })
}
