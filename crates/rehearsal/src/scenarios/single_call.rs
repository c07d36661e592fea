//! What the scenarios that measure single calls have in common: as much as possible in turns with baselines, then at a pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::baselines::{BaselineError, Kind, PostgresBaselines, RedisBaseline, SATURATED, TransportBaseline};
use crate::load::{Counted, Load, Outcome, Paced, Saturated};
use crate::pairs::plan::SLICE_MIN;
use crate::pairs::{Limits, Paired, Pairs, RunSlice, Side};
use crate::report::model::{Baseline, Measurement};
use crate::scenario::{Compared, Run};

/// The share of what was possible at which the paced phase calls, unless a rate was asked for.
const PACE: f64 = 0.7;
/// The phase of calls at a pace.
const PACED: &str = "paced";
/// What the paced phase needs besides its own length.
const PACED_MARGIN: Duration = Duration::from_secs(2);

/// A way in which a scenario calls, and what it is compared with.
pub(super) struct Variant<'r> {
    pub(super) phase: String,
    pub(super) call: String,
    /// Whether a slice lasts a given time; otherwise it is over when a fixed amount of work is done.
    pub(super) timed: bool,
    pub(super) beside: Vec<Kind>,
    pub(super) slice: RunSlice<'r>,
}

impl<'r> Variant<'r> {
    /// Callers in a closed loop.
    pub(super) fn saturated(call: impl Into<String>, beside: &[Kind], slice: RunSlice<'r>) -> Self {
        Self { phase: SATURATED.to_owned(), call: call.into(), timed: true, beside: beside.to_vec(), slice }
    }
}

/// When the slices must have ended so that the paced phase follows in time.
pub(super) fn before_pace(run: &Run<'_>) -> Instant {
    let reserved = run.args.phase() + PACED_MARGIN;
    run.ends_at.checked_sub(reserved).unwrap_or(run.ends_at)
}

/// Callers in a closed loop for a slice, with so many calls at most.
pub(super) fn callers(run: &Run<'_>, lasts: Duration, calls_max: u64) -> Saturated {
    Saturated { in_flight: run.args.load.in_flight, lasts, calls_max }
}

/// Measures all variants in turns with their baselines, until a moment. Without baselines each variant has one long slice.
pub(super) async fn compare<'r>(run: &'r Run<'_>, variants: Vec<Variant<'r>>, ends_at: Instant) -> Compared {
    let mut kinds = Vec::new();
    for kind in variants.iter().flat_map(|variant| &variant.beside) {
        if !kinds.contains(kind) && !run.args.load.no_baselines {
            kinds.push(*kind);
        }
    }
    let opened = Opened::open(run, &kinds).await;
    kinds.retain(|kind| opened.about(*kind).is_some());
    let mut compared = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        let beside = kinds.iter().enumerate().filter(|(_, kind)| variant.beside.contains(kind));
        compared.extend(beside.map(|(baseline, kind)| ((number, baseline), kind.rate())));
    }
    let named: Vec<(String, String)> =
        variants.iter().map(|variant| (variant.phase.clone(), variant.call.clone())).collect();
    let side = |variant: Variant<'r>| Side {
        name: format!("{} {}", variant.phase, variant.call),
        timed: variant.timed,
        slice: variant.slice,
    };
    let mut variants: Vec<Side<'r>> = variants.into_iter().map(side).collect();
    let mut paired = Paired { variants: variants.iter().map(|_| Vec::new()).collect(), ..Paired::default() };
    let mut alone = Vec::new();
    if compared.is_empty() {
        alone.append(&mut variants);
    } else {
        let baselines = kinds.iter().map(|kind| opened.side(run, *kind)).collect();
        let limits = Limits { pairs: run.args.load.pairs, ends_at, stop: run.stop() };
        let what = named.iter().map(|(_, call)| call.as_str()).next().unwrap_or_default();
        let pairs = Pairs { variants, baselines, compared };
        paired = pairs.run(limits, |round| run.live.phase(&format!("{what} in turns with baselines, {round}"))).await;
    }
    for (number, mut side) in alone.into_iter().enumerate() {
        if run.stop().is_cancelled() {
            break;
        }
        run.live.phase(&format!("{}, alone", side.name));
        match (side.slice)(run.args.phase()).await {
            Ok(counted) => paired.variants[number].push(counted),
            Err(why) => run.live.phase(&format!("{} is left out: {why}", side.name)),
        }
    }
    opened.close(run).await;
    let whole = |slices: &[Counted], phase: &str, call: &str| Some(Counted::sum(slices)?.measurement(phase, call));
    let measurements = paired.variants.iter().zip(&named);
    let measurements = measurements.filter_map(|(slices, (phase, call))| whole(slices, phase, call)).collect();
    let baselines = paired.baselines.iter().zip(&kinds).filter_map(|(slices, kind)| {
        let measurement = whole(slices, &kind.phase(), kind.call())?;
        Some(Baseline { name: kind.name(), about: opened.about(*kind)?, measurement })
    });
    let baselines = baselines.collect();
    Compared { slices: paired.variants, measurements, baselines, comparisons: paired.comparisons }
}

/// Calls at a steady pace: a share of what was possible, or the rate that was asked for. `call` is given numbers from 0 to `subjects`,
/// each once. None if the rehearsal is over.
pub(super) async fn pace<F>(
    run: &Run<'_>,
    name: &str,
    full: Option<&Measurement>,
    subjects: u64,
    call: impl Fn(u64) -> F,
) -> Option<Measurement>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    if run.stop().is_cancelled() {
        return None;
    }
    let rate = rate(run, full)?;
    run.live.phase(&format!("{name}: {rate:.0} calls a second"));
    let paced = Paced::steady(rate, run.args.phase(), subjects);
    Some(run.load.pace(paced, (PACED, name), call).await)
}

/// How many calls a second the paced phase makes.
pub(super) fn rate(run: &Run<'_>, full: Option<&Measurement>) -> Option<f64> {
    run.args.load.rate.map(f64::from).or_else(|| Some(full?.answers_per_second * PACE))
}

/// The baselines that could be reached.
#[derive(Default)]
struct Opened {
    transport: Option<TransportBaseline>,
    redis: Option<RedisBaseline>,
    postgres: Option<Arc<PostgresBaselines>>,
}

impl Opened {
    async fn open(run: &Run<'_>, kinds: &[Kind]) -> Self {
        let mut opened = Self::default();
        if kinds.is_empty() {
            return opened;
        }
        run.live.phase("the baselines are prepared");
        if kinds.contains(&Kind::Transport) {
            opened.transport = seen(run, TransportBaseline::connect(run.environment.connections.all()).await);
        }
        if let Some(url) = run.environment.stores.redis.as_ref().filter(|_| kinds.contains(&Kind::Redis)) {
            opened.redis = seen(run, RedisBaseline::connect(url).await);
        }
        let on_postgres = kinds.iter().any(|kind| kind.is_on_postgres());
        if let Some(url) = run.environment.stores.database.as_ref().filter(|_| on_postgres) {
            let instances = u32::try_from(run.environment.addresses.len()).unwrap_or(1);
            let connecting = PostgresBaselines::connect(url, run.environment.stores.pool_size * instances);
            let mut postgres = seen(run, connecting.await);
            let under_locks = kinds.iter().any(|kind| kind.is_under_redis_locks());
            if let Some(redis) = run.environment.stores.redis.as_ref().filter(|_| under_locks)
                && let Some(connected) = &mut postgres
            {
                seen(run, connected.lock_in_redis(redis).await);
            }
            opened.postgres = postgres.map(Arc::new);
        }
        opened
    }

    /// What a baseline does; none if it could not be reached.
    fn about(&self, kind: Kind) -> Option<String> {
        match kind {
            Kind::Transport => self.transport.as_ref().map(TransportBaseline::about),
            Kind::Redis => self.redis.as_ref().map(|_| RedisBaseline::about()),
            Kind::Commits | Kind::Hold(_) | Kind::Pay(_) | Kind::Contend(..) => {
                self.postgres.as_ref().and_then(|postgres| postgres.about(kind))
            }
        }
    }

    fn side<'r>(&self, run: &Run<'_>, kind: Kind) -> Side<'r> {
        let (load, in_flight) = (run.load.clone(), run.args.load.in_flight);
        let (transport, redis, postgres) = (self.transport.clone(), self.redis.clone(), self.postgres.clone());
        let slice: RunSlice<'r> = Box::new(move |lasts| {
            let saturated = Saturated { in_flight, lasts, calls_max: u64::MAX };
            let (load, transport, redis, postgres) = (load.clone(), transport.clone(), redis.clone(), postgres.clone());
            Box::pin(async move {
                match (kind, transport, redis, postgres) {
                    (Kind::Transport, Some(transport), _, _) => Ok(transport.measure(&load, saturated).await),
                    (Kind::Redis, _, Some(redis), _) => Ok(redis.measure(&load, saturated).await),
                    (_, _, _, Some(postgres)) => on_postgres(&postgres, kind, &load, saturated).await,
                    _ => Err("it cannot be reached".to_owned()),
                }
            })
        });
        Side { name: kind.name(), timed: kind.is_timed(), slice }
    }

    async fn close(&self, run: &Run<'_>) {
        if let Some(postgres) = &self.postgres {
            seen(run, postgres.close().await);
        }
    }
}

async fn on_postgres(
    postgres: &PostgresBaselines,
    kind: Kind,
    load: &Load,
    saturated: Saturated,
) -> Result<Counted, String> {
    let counted = match kind {
        Kind::Commits => Ok(postgres.commits(load, saturated).await),
        Kind::Hold(way) => postgres.hold(way, load, saturated).await,
        Kind::Pay(way) => postgres.pay(way, load, saturated).await,
        Kind::Contend(way, callers) => postgres.contend(way, load, callers).await,
        Kind::Transport | Kind::Redis => return Err("it is not on Postgres".to_owned()),
    };
    counted.map_err(|error| error.to_string())
}

fn seen<T>(run: &Run<'_>, opened: Result<T, BaselineError>) -> Option<T> {
    opened.map_err(|error| run.live.phase(&format!("a baseline is left out: {error}"))).ok()
}

/// How much a slice may need of something of which a call needs one, at most.
pub(super) fn enough(per_second: u64, lasts: Duration) -> u64 {
    let millis = u64::try_from(lasts.max(SLICE_MIN).as_millis()).unwrap_or(u64::MAX);
    per_second.saturating_mul(millis).div_ceil(1_000)
}
