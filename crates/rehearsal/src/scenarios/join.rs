//! Joining a queue: as many as can, and then at a pace.

use std::time::Duration;

use crate::baselines::Kind;
use crate::load::Outcome;
use crate::operator::{QueueTerms, Terms};
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::Callers;
use crate::scenarios::single_call::{Variant, before_pace, callers as closed_loop, compare, pace};
use crate::venue::Venue;

/// How many fans there are by default; each joins the queue of each slice once.
const FANS: u64 = 100_000;
/// The queue is paused: joining is measured, not admission.
const QUEUE: QueueTerms = QueueTerms { per_second: 1, batch: 1, max_active: 1, paused: true, grace: None };
/// Without baselines so many of a hundred fans join in the closed loop, as in older builds, with which that is compared.
const ALONE_PERCENT: u64 = 60;
const CALL: &str = "JoinQueue";
const BASELINES: [Kind; 2] = [Kind::Redis, Kind::Transport];

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("a sale with a queue, and fans to join it");
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), queue: Some(QUEUE) };
    let sale =
        run.environment.operator.open_sale(Venue::of(100), &terms).await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, run.fans(FANS)).await?;
    // One fan less than there are: the last one joins first, so that the queue is open when it is measured.
    let joiners = callers.len().saturating_sub(1).max(1);
    // A queue in which nobody waits yet, and the call of each number on it.
    let alone = run.args.load.no_baselines;
    let fresh = {
        let (sale, callers) = (sale.clone(), callers.clone());
        move || {
            let (sale, callers) = (sale.clone(), callers.clone());
            async move {
                let performance = sale.date().await?;
                // Older builds, with which a scenario alone is compared, measure the first join too.
                if !alone {
                    callers.turn(joiners).join(&performance).await?;
                }
                Ok::<_, tonic::Status>(move |number| {
                    let (caller, performance) = (callers.turn(number).clone(), performance.clone());
                    async move { Outcome::of(&caller.join(&performance).await) }
                })
            }
        }
    };
    let variant = Variant::saturated(CALL, &BASELINES, {
        let fresh = fresh.clone();
        Box::new(move |lasts| {
            let fresh = fresh();
            Box::pin(async move {
                let joining = fresh.await.map_err(|status| status.message().to_owned())?;
                let calls_max = if alone { joiners * ALONE_PERCENT / 100 } else { joiners };
                Ok(run.load.closed_loop(closed_loop(run, lasts, calls_max), joining).await)
            })
        })
    });
    let mut compared = compare(run, vec![variant], before_pace(run)).await;
    if let Ok(joining) = fresh().await {
        let paced = pace(run, CALL, compared.measurements.first(), joiners, joining).await;
        compared.measurements.extend(paced);
    }
    Ok(Findings { performances: sale.performances(), ..Findings::of(compared) })
}
