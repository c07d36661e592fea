//! What the scenarios that measure a part have in common: as much as possible, then at a pace, beside baselines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::baselines::{self, BaselineError, PostgresBaselines, with_ratios};
use crate::load::{Outcome, Paced, Saturated};
use crate::rehearsal::Run;
use crate::report::model::{Baseline, Measurement};

/// The share of what was possible at which the paced phase calls, unless a rate was asked for.
const PACE: f64 = 0.7;

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

/// Calls as much as callers can, and then at a pace. `call` is given numbers from 0 to `subjects`, each once.
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
    let full = run.load.saturate(saturated, ("saturated", name), counted).await;
    let used = used.load(Ordering::Relaxed);
    let rate = run.args.load.rate.map_or(full.answers_per_second * PACE, f64::from);
    run.live.phase(&format!("{name}: {rate:.0} calls a second"));
    let paced = Paced::steady(rate, run.args.phase(), subjects - used);
    let paced = run.load.pace(paced, ("paced", name), move |number| call(used + number)).await;
    vec![full, paced]
}

/// What the machine does without Encore. What is not there, or cannot be reached, is left out and said on the way.
pub(super) async fn baselines(run: &Run<'_>, beside: &[Beside], measurements: &[Measurement]) -> Vec<Baseline> {
    if run.args.load.no_baselines {
        return Vec::new();
    }
    run.live.phase("the ceiling of the transport");
    let saturated = Saturated { in_flight: run.args.load.in_flight, lasts: run.args.phase(), calls_max: u64::MAX };
    let transport = baselines::transport(&run.load, &run.stage.connections.all(), saturated).await;
    let mut found = Vec::from_iter(seen(run, transport));
    if let Some(url) = run.stage.stores.redis.as_ref().filter(|_| beside.contains(&Beside::Redis)) {
        run.live.phase("the ceiling of Redis");
        found.extend(seen(run, baselines::redis(&run.load, url, saturated).await));
    }
    found.extend(on_postgres(run, beside, saturated).await);
    found.into_iter().map(|baseline| with_ratios(baseline, measurements)).collect()
}

async fn on_postgres(run: &Run<'_>, beside: &[Beside], saturated: Saturated) -> Vec<Baseline> {
    let Some(url) = run.stage.stores.database.as_ref().filter(|_| beside.iter().any(|it| *it != Beside::Redis)) else {
        return Vec::new();
    };
    let instances = u32::try_from(run.stage.addresses.len()).unwrap_or(1);
    let connecting = PostgresBaselines::connect(url, run.stage.stores.pool_size * instances).await;
    let Some(postgres) = seen(run, connecting) else { return Vec::new() };
    let mut found = Vec::new();
    for beside in beside {
        run.live.phase(match beside {
            Beside::Redis => continue,
            Beside::Commits => "the ceiling of durable Postgres",
            Beside::HoldForUpdate | Beside::PayForUpdate | Beside::ContendForUpdate(_) => "SELECT … FOR UPDATE instead",
        });
        found.extend(match beside {
            Beside::Redis => None,
            Beside::Commits => Some(postgres.commits(&run.load, saturated).await),
            Beside::HoldForUpdate => seen(run, postgres.hold(&run.load, saturated).await),
            Beside::PayForUpdate => seen(run, postgres.pay(&run.load, saturated).await),
            Beside::ContendForUpdate(callers) => seen(run, postgres.contend(&run.load, *callers).await),
        });
    }
    seen(run, postgres.close().await);
    found
}

fn seen<T>(run: &Run<'_>, measured: Result<T, BaselineError>) -> Option<T> {
    measured.map_err(|error| run.live.phase(&format!("a baseline is left out: {error}"))).ok()
}
