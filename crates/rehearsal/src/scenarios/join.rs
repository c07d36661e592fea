//! Joining a line: as many as can, and then at a pace.

use std::time::Duration;

use crate::hall::PerformanceContext;
use crate::load::Outcome;
use crate::operator::{LineTerms, Terms};
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::scenarios::callers::Callers;
use crate::scenarios::part::{Beside, baselines, saturate_and_pace};

/// How many fans join by default; each joins once.
const FANS: u64 = 100_000;
/// The line stands: joining is measured, not admission.
const LINE: LineTerms = LineTerms { per_second: 1, batch: 1, cap: 1, paused: true, grace: None };

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    run.live.phase("a line, and fans to join it");
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), queue: Some(LINE) };
    let sale = run.stage.operator.put_on_sale(PerformanceContext::of(100), &terms, 1);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, run.fans(FANS)).await?;
    let (joining, performance) = (callers.clone(), performances[0].clone());
    let measurements = saturate_and_pace(run, "JoinQueue", callers.len(), move |number| {
        let (caller, performance) = (joining.turn(number).clone(), performance.clone());
        async move { Outcome::of(&caller.join(&performance).await) }
    });
    let measurements = measurements.await;
    let baselines = baselines(run, &[Beside::Redis], &measurements).await;
    Ok(Findings { measurements, baselines, performances, ..Findings::default() })
}
