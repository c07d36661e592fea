//! What the scenarios that measure a part have in common: as much as possible, then at a pace, beside baselines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use crate::baselines::{self, BaselineError, PostgresBaselines, SATURATED, with_ratios};
use crate::load::{Outcome, Paced, Saturated};
use crate::rehearsal::Run;
use crate::report::model::{Baseline, Measurement};

/// The share of what was possible at which the paced phase calls, unless a rate was asked for.
const PACE: f64 = 0.7;

/// How the baselines are announced that lock rows.
const FOR_UPDATE: &str = "SELECT … FOR UPDATE instead";

/// A ceiling to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Of Redis.
    Redis,
    /// Of durable Postgres.
    Commits,
    /// What would be written instead of holds.
    HoldForUpdate,
    /// What would be written instead of payments.
    PayForUpdate,
    /// What would be written instead, for so many callers at once on two seats.
    ContendForUpdate(u64),
}

/// Calls as much as callers can, and then, unless the rehearsal is over by then, at a pace. `call` is given numbers from 0 to `subjects`, each once.
pub(super) async fn saturate_and_pace<F>(
    run: &Run<'_>,
    name: &str,
    subjects: u64,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Vec<Measurement>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    run.live.phase(&format!("{name}: {} callers, as much as they can", run.args.load.in_flight));
    let used = Arc::new(AtomicU64::new(0));
    let counted = {
        let (used, call) = (Arc::clone(&used), call.clone());
        move |number| {
            used.fetch_max(number + 1, Ordering::Relaxed);
            call(number)
        }
    };
    // Enough is left for the paced phase.
    let saturated = Saturated {
        in_flight: run.args.load.in_flight,
        lasts: run.args.phase(),
        calls_max: subjects - subjects * 2 / 5,
    };
    let full = run.load.saturate(saturated, (SATURATED, name), counted).await;
    if run.stop().is_cancelled() {
        return vec![full];
    }
    let used = used.load(Ordering::Relaxed);
    let rate = run.args.load.rate.map_or(full.answers_per_second * PACE, f64::from);
    run.live.phase(&format!("{name}: {rate:.0} calls a second"));
    let paced = Paced::steady(rate, run.args.phase(), subjects - used);
    let paced = run.load.pace(paced, ("paced", name), move |number| call(used + number)).await;
    vec![full, paced]
}

/// What the machine does without Encore. What is not there, cannot be reached or was cut short by the end of the rehearsal
/// is left out and said on the way.
pub(super) async fn baselines(run: &Run<'_>, beside: &[Beside], measurements: &[Measurement]) -> Vec<Baseline> {
    if run.args.load.no_baselines {
        return Vec::new();
    }
    let saturated = Saturated { in_flight: run.args.load.in_flight, lasts: run.args.phase(), calls_max: u64::MAX };
    let channels = run.stage.connections.all();
    let transport = baselines::transport(&run.load, &channels, saturated);
    let mut found = Vec::from_iter(whole(run, "the ceiling of the transport", transport).await);
    if let Some(url) = run.stage.stores.redis.as_ref().filter(|_| beside.contains(&Beside::Redis)) {
        found.extend(whole(run, "the ceiling of Redis", baselines::redis(&run.load, url, saturated)).await);
    }
    found.extend(on_postgres(run, beside, saturated).await);
    found.into_iter().map(|baseline| with_ratios(baseline, measurements)).collect()
}

async fn on_postgres(run: &Run<'_>, beside: &[Beside], saturated: Saturated) -> Vec<Baseline> {
    let Some(url) = run.stage.stores.database.as_ref().filter(|_| beside.iter().any(|it| *it != Beside::Redis)) else {
        return Vec::new();
    };
    let instances = u32::try_from(run.stage.addresses.len()).unwrap_or(1);
    let connecting = PostgresBaselines::connect(url, run.stage.stores.pool_size * instances);
    let Some(postgres) = whole(run, "a database for baselines", connecting).await else { return Vec::new() };
    let mut found = Vec::new();
    for beside in beside {
        found.extend(match beside {
            Beside::Redis => None,
            Beside::Commits => {
                let committing = async { Ok(postgres.commits(&run.load, saturated).await) };
                whole(run, "the ceiling of durable Postgres", committing).await
            }
            Beside::HoldForUpdate => whole(run, FOR_UPDATE, postgres.hold(&run.load, saturated)).await,
            Beside::PayForUpdate => whole(run, FOR_UPDATE, postgres.pay(&run.load, saturated)).await,
            Beside::ContendForUpdate(callers) => {
                whole(run, &format!("{FOR_UPDATE}, {callers} at once"), postgres.contend(&run.load, *callers)).await
            }
        });
    }
    seen(run, postgres.close().await);
    found
}

/// What came of this if it could be done, and the rehearsal did not end before or meanwhile.
async fn whole<T>(run: &Run<'_>, phase: &str, measuring: impl Future<Output = Result<T, BaselineError>>) -> Option<T> {
    let measured = unless_cut(run.stop(), async {
        run.live.phase(phase);
        measuring.await
    });
    if let Some(measured) = measured.await {
        return seen(run, measured);
    }
    run.live.phase(&format!("{phase} is left out: the rehearsal is over"));
    None
}

/// What came of this, unless it was to stop before or meanwhile. Loads hear of that themselves, and clean up behind them.
async fn unless_cut<T>(stop: &CancellationToken, measuring: impl Future<Output = T>) -> Option<T> {
    if stop.is_cancelled() {
        return None;
    }
    let measured = measuring.await;
    (!stop.is_cancelled()).then_some(measured)
}

fn seen<T>(run: &Run<'_>, measured: Result<T, BaselineError>) -> Option<T> {
    measured.map_err(|error| run.live.phase(&format!("a baseline is left out: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_cut_is_left_out() {
        let stop = CancellationToken::new();
        assert_eq!(unless_cut(&stop, async { "whole" }).await, Some("whole"));
        let cut = async {
            stop.cancel();
            "cut"
        };
        assert_eq!(unless_cut(&stop, cut).await, None);
        assert_eq!(unless_cut(&stop, async { panic!("it is not begun") }).await, None::<()>);
    }
}
