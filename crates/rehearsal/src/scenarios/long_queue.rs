//! The cost of a queue in which many wait, compared with one in which few do: joining it, asking for a position, and a tick of the
//! server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::baselines::{HEALTH_CHECK, Kind, health_checks};
use crate::client::Caller;
use crate::load::{Outcome, Paced};
use crate::operator::{QueueTerms, Terms};
use crate::report::model::{Figure, Measurement};
use crate::scenario::Compared;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::Callers;
use crate::scenarios::single_call::{Variant, callers as closed_loop, compare, pace};
use crate::venue::Venue;

/// How many wait in the short queue.
const FEW: u64 = 1_000;
/// How many wait in the long queue by default.
const MANY: u64 = 1_000_000;
/// How many join each queue while that is measured.
const JOINERS: u64 = 200_000;
/// One of so many leaves a queue before it is measured, so that positions have to be counted.
const ONE_LEAVES_OF: usize = 500;
/// The queues move, as in a sale. The grace is longer than the rehearsal, so that fans who only poll are not abandoned. As many are
/// admitted from the short queue as from the long one, so that the queues differ only in how many wait.
const QUEUE: QueueTerms =
    QueueTerms { per_second: 100, batch: 100, max_active: 500, paused: false, grace: Some(Duration::from_hours(1)) };
const BASELINES: [Kind; 2] = [Kind::Redis, Kind::Transport];
/// The phase of calls that the server has time for.
const CALM: &str = "calm";
/// How many callers a second leave the server alone between two of them.
const CALM_PER_SECOND: f64 = 200.0;
/// How often the server is asked how long its last tick took.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// Of a hundred ticks, how many were no longer than the one that is reported beside the median.
const HIGH_PERCENT: usize = 99;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let many = run.fans(MANY);
    let few = FEW.min(many);
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), queue: Some(QUEUE) };
    let sale = run.environment.operator.put_on_sale(Venue::of(10_000), &terms, 2);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    run.live.phase(&format!("{} fans are made", many + JOINERS));
    let fans = Callers::make(run, many).await?;
    let joiners = Callers::make(run, JOINERS).await?;
    let mut findings = Findings::default();
    for ((performance, waiting), remaining) in performances.iter().zip([few, many]).zip([3, 1]) {
        if run.stop().is_cancelled() {
            break;
        }
        let queue = Queue { performance: performance.clone(), waiting };
        queue.measure(run, &fans, &joiners, &mut findings, remaining).await;
    }
    Ok(Findings { performances, ..findings })
}

/// A queue in which so many wait.
struct Queue {
    performance: String,
    waiting: u64,
}

impl Queue {
    /// Measures everything about it. After its first comparison `remaining` others follow.
    async fn measure(&self, run: &Run<'_>, fans: &Callers, joiners: &Callers, findings: &mut Findings, remaining: u32) {
        run.live.phase(&format!("{} fans join", self.waiting));
        let (waiting, _) = fans.join(run, self.waiting, &self.performance).await;
        futures::future::join_all(waiting.iter().step_by(ONE_LEAVES_OF).map(Caller::leave)).await;
        if run.stop().is_cancelled() || waiting.is_empty() {
            return;
        }
        let waiting: Arc<[Caller]> = waiting.into();
        // An instance reads a queue that somebody watches.
        let watcher = waiting.last().cloned();
        let _watching = futures::future::OptionFuture::from(watcher.as_ref().map(Caller::watch)).await;
        run.live.phase("the queue at rest");
        findings.figures.extend(self.tick_figures(self.ticks(run).await));
        let asking = move |number: u64| {
            // Far apart, so that nothing is warm because a neighbour asked.
            let turn = usize::try_from(number).unwrap_or(0).wrapping_mul(7_919) % waiting.len();
            let caller = waiting[turn].clone();
            async move { Outcome::of(&caller.position().await) }
        };
        let position = format!("GetPosition, {} wait", self.waiting);
        let alone = Paced::steady(CALM_PER_SECOND, run.args.phase(), u64::MAX);
        let checks = health_checks(&run.environment.connections.all());
        let checked = run.load.pace(alone, (CALM, HEALTH_CHECK), checks).await;
        let asked = run.load.pace(alone, (CALM, &position), asking.clone()).await;
        findings.figures.extend(self.beyond_a_check(&checked, &asked));
        findings.measurements.extend([checked, asked]);
        findings.add(self.compared(run, &position, u64::MAX, asking, remaining).await);
        let (joiners, performance, subjects) = (joiners.clone(), self.performance.clone(), joiners.len());
        let joining = format!("JoinQueue, {} wait", self.waiting);
        let join = move |number| {
            let (caller, performance) = (joiners.turn(number).clone(), performance.clone());
            async move { Outcome::of(&caller.join(&performance).await) }
        };
        findings.add(self.compared(run, &joining, subjects, join, remaining.saturating_sub(1)).await);
    }

    /// Calls as much as callers can, in turns with baselines, and then at a pace. Each subject is called for once. `remaining` is how
    /// many of these follow, which share the time.
    async fn compared<F>(
        &self,
        run: &Run<'_>,
        name: &str,
        subjects: u64,
        call: impl Fn(u64) -> F + Clone + Send + Sync + 'static,
        remaining: u32,
    ) -> Compared
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let next = Arc::new(AtomicU64::new(0));
        // Enough is left for the paced phase.
        let for_slices = subjects - subjects / 3;
        let slices = if run.args.load.no_baselines { 1 } else { u64::from(run.args.load.pairs) };
        let variant = Variant::saturated(name, &BASELINES, {
            let (next, call) = (Arc::clone(&next), call.clone());
            Box::new(move |lasts| {
                let (next, call) = (Arc::clone(&next), call.clone());
                Box::pin(async move {
                    let first = next.load(Ordering::Relaxed);
                    let calls_max = (for_slices / slices).min(for_slices.saturating_sub(first));
                    let load = closed_loop(run, lasts, calls_max);
                    let counted = run.load.closed_loop(load, move |number| call(first + number)).await;
                    next.fetch_add(counted.calls(), Ordering::Relaxed);
                    Ok(counted)
                })
            })
        });
        let left = run.ends_at.saturating_duration_since(Instant::now()) / (remaining + 1);
        let reserved = run.args.phase() + Duration::from_secs(1);
        let mut compared = compare(run, vec![variant], Instant::now() + left.saturating_sub(reserved)).await;
        let used = next.load(Ordering::Relaxed);
        let paced = pace(run, name, compared.measurements.first(), subjects - used, move |number| call(used + number));
        let paced = paced.await;
        compared.measurements.extend(paced);
        compared
    }

    /// What the server needs for a position beyond a call that does nothing, while it has little else to do.
    fn beyond_a_check(&self, checked: &Measurement, asked: &Measurement) -> Option<Figure> {
        let beyond = asked.latency.as_ref()?.p50 - checked.latency.as_ref()?.p50;
        Some(Figure::new(
            format!("GetPosition with {} waiting, median beyond Health/Check", self.waiting),
            beyond,
            "ms",
        ))
    }

    /// How long ticks take for some time, as the server says.
    async fn ticks(&self, run: &Run<'_>) -> Vec<Duration> {
        let mut ticks = Vec::new();
        let mut samples = interval(SAMPLE_EVERY);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sampling = async {
            loop {
                samples.tick().await;
                if let Ok(Some(tick)) = run.environment.operator.tick(&self.performance).await {
                    ticks.push(tick);
                }
            }
        };
        tokio::select! {
            () = sampling => {}
            () = tokio::time::sleep(run.args.phase()) => {}
            () = run.stop().cancelled() => {}
        }
        ticks
    }

    fn tick_figures(&self, mut ticks: Vec<Duration>) -> Vec<Figure> {
        ticks.sort_unstable();
        let Some(last) = ticks.len().checked_sub(1) else { return Vec::new() };
        let figure = |name: &str, percent: usize| {
            let millis = ticks[last * percent / 100].as_secs_f64() * 1_000.0;
            Figure::new(format!("tick with {} waiting, {name} of {}", self.waiting, ticks.len()), millis, "ms")
        };
        vec![figure("median", 50), figure("99th percentile", HIGH_PERCENT)]
    }
}
