//! Many open position streams: what one costs, and how soon all know what concerns them.

use std::sync::Arc;
use std::time::Duration;

use encore_proto::queue::v1::WatchPositionResponse;
use encore_proto::queue::v1::standing::Standing;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Status, Streaming};

use crate::client::Caller;
use crate::hall::Hall;
use crate::load::tally::to_f64;
use crate::load::{Outcome, Saturated, Tally};
use crate::operator::{LineTerms, Terms};
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::{Figure, Measurement};
use crate::resources::usage_of;
use crate::scenarios::callers::Callers;
use crate::scenarios::part::{Beside, baselines};

/// How many streams there are by default.
const STREAMS: u64 = 10_000;
/// How many are admitted at once.
const ADMITTED: u64 = 1_000;
/// How many streams are opened at once.
const OPENING_AT_ONCE: usize = 256;
/// How long nothing is done before the streams' rest is measured, and for how long it is.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// Who is not told by then is counted as not told.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What a stream is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing has happened yet.
    Paused,
    /// The line moves again.
    Moving,
    /// The fan is in.
    Admitted,
}

/// An open stream, read by a task of its own that says what it learned last.
struct Watcher {
    caller: Caller,
    news: watch::Receiver<(News, Instant)>,
}

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let streams = run.fans(STREAMS);
    let admitted = ADMITTED.min(streams.div_ceil(2));
    let cap = u32::try_from(admitted).unwrap_or(u32::MAX);
    let line = LineTerms { per_second: 100_000, batch: 100_000, cap, paused: true };
    run.live.phase(&format!("{streams} fans join a line that stands"));
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), line: Some(line) };
    let sale = run.stage.operator.put_on_sale(Hall::of(2_000), &terms, 1);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    let performance = &performances[0];
    let waiting = join_all(run, Callers::make(run, streams).await?, performance).await;

    let mut findings = Findings::default();
    let mut watchers = Vec::new();
    let redis = redis_of(run).await;
    let servers = || run.stage.instances.as_ref().map(|instances| usage_of(&instances.pids()).memory_bytes);
    let memory_before = servers();
    let mut rest = waiting.into_iter();
    for step in [streams.div_ceil(10), streams.div_ceil(3), streams] {
        let missing = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(watchers.len());
        run.live.phase(&format!("{step} streams are open"));
        let (opened, measured) = open(run, rest.by_ref().take(missing).collect()).await;
        watchers.extend(opened);
        findings.measurements.push(Measurement { phase: format!("to {step}"), ..measured });
        findings.figures.extend(commands_at_rest(redis.as_ref(), step).await);
    }
    if let (Some(before), Some(after)) = (memory_before, servers()) {
        let kib = to_f64(after.saturating_sub(before)) / 1_024.0 / to_f64(streams);
        findings.figures.push(figure("server memory per stream", kib, "KiB"));
    }
    findings.measurements.extend(tell_all(run, performance, line, &watchers, admitted).await?);
    findings.baselines = baselines(run, &[Beside::Redis], &[]).await;
    findings.performances = performances;
    Ok(findings)
}

/// The line moves again, which concerns everybody, and the first are admitted; then these leave, and the next are.
async fn tell_all(
    run: &Run<'_>,
    performance: &str,
    line: LineTerms,
    watchers: &[Watcher],
    admitted: u64,
) -> Result<Vec<Measurement>, RehearsalError> {
    let admitted = usize::try_from(admitted).unwrap_or(usize::MAX).min(watchers.len());
    let (first, others) = watchers.split_at(admitted);
    let next = &others[..admitted.min(others.len())];
    run.live.phase("the line moves again");
    let moved_at = Instant::now();
    let resumed = run.stage.operator.set_line(performance, LineTerms { paused: false, ..line });
    resumed.await.map_err(RehearsalError::setup("resuming the line"))?;
    let mut measured = vec![
        told(first, News::Admitted, moved_at, "admitted when the line moves").await,
        told(others, News::Moving, moved_at, "all know that the line moves").await,
    ];
    run.live.phase(&format!("{admitted} leave, and the next are admitted"));
    let left_at = Instant::now();
    let leaving = first.iter().map(|watcher| watcher.caller.leave());
    futures::future::join_all(leaving).await;
    measured.push(told(next, News::Admitted, left_at, "admitted when others leave").await);
    Ok(measured)
}

/// How soon after a moment these streams told something.
async fn told(watchers: &[Watcher], news: News, since: Instant, phase: &str) -> Measurement {
    let mut tally = Tally::default();
    let mut last = Duration::ZERO;
    for watcher in watchers {
        let mut learned = watcher.news.clone();
        let patience = (since + TOLD_WITHIN).saturating_duration_since(Instant::now());
        let knows = learned.wait_for(|(latest, _)| *latest == news || *latest == News::Admitted);
        match timeout(patience, knows).await.ok().and_then(Result::ok).map(|latest| latest.1) {
            Some(at) => {
                let took = at.saturating_duration_since(since);
                last = last.max(took);
                tally.count(took, Outcome::Success);
            }
            None => tally.count(TOLD_WITHIN, Outcome::Failed("NotTold".to_owned())),
        }
    }
    tally.measurement(phase, "WatchPosition", None, last)
}

async fn join_all(run: &Run<'_>, callers: Callers, performance: &str) -> Vec<Caller> {
    let joined: Arc<std::sync::Mutex<Vec<(u64, Caller)>>> = Arc::default();
    let everybody = Saturated { in_flight: run.args.load.in_flight, lasts: run.args.bound(), calls_max: callers.len() };
    let (kept, performance) = (Arc::clone(&joined), performance.to_owned());
    let joining = run.load.saturate(everybody, ("joined", "JoinQueue"), move |number| {
        let (caller, kept, performance) = (callers.turn(number).clone(), Arc::clone(&kept), performance.clone());
        async move {
            let answer = caller.join(&performance).await;
            let outcome = Outcome::of(&answer);
            if let Ok(Ok(shown)) =
                answer.map(|joined| Ok::<_, Status>((joined.number, caller.showing(&joined.queue_token)?)))
            {
                kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(shown);
            }
            outcome
        }
    });
    joining.await;
    let mut joined = std::mem::take(&mut *joined.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    joined.sort_unstable_by_key(|(number, _)| *number);
    joined.into_iter().map(|(_, caller)| caller).collect()
}

/// Opens streams and waits for the first frame of each.
async fn open(run: &Run<'_>, callers: Vec<Caller>) -> (Vec<Watcher>, Measurement) {
    let places = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let begun = Instant::now();
    let mut opening = JoinSet::new();
    for (order, caller) in callers.into_iter().enumerate() {
        let (places, stop) = (Arc::clone(&places), run.stop().clone());
        opening.spawn(async move {
            let _place = places.acquire_owned().await;
            let started = Instant::now();
            let opened = tokio::select! {
                opened = open_one(caller) => opened,
                () = stop.cancelled() => Err(Status::cancelled("the rehearsal was ended")),
            };
            (order, started.elapsed(), opened)
        });
    }
    let mut tally = Tally::default();
    let mut opened = Vec::new();
    while let Some(one) = opening.join_next().await {
        let Ok((order, took, answer)) = one else { continue };
        tally.count(took, Outcome::of(&answer));
        opened.extend(answer.map(|watcher| (order, watcher)));
    }
    opened.sort_unstable_by_key(|(order, _)| *order);
    let watchers = opened.into_iter().map(|(_, watcher)| watcher).collect();
    (watchers, tally.measurement("opened", "WatchPosition", None, begun.elapsed()))
}

async fn open_one(caller: Caller) -> Result<Watcher, Status> {
    let mut frames = caller.watch().await?;
    let first = frames.message().await?.ok_or_else(|| Status::data_loss("a stream without a frame"))?;
    let (learn, news) = watch::channel((news(&first).unwrap_or(News::Paused), Instant::now()));
    tokio::spawn(read(frames, learn));
    Ok(Watcher { caller, news })
}

/// Reads a stream until it ends or nobody listens. The moment of a piece of news is that of its first frame.
async fn read(mut frames: Streaming<WatchPositionResponse>, learn: watch::Sender<(News, Instant)>) {
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            () = learn.closed() => return,
        };
        let Ok(Some(frame)) = frame else { return };
        if let Some(latest) = news(&frame) {
            learn.send_if_modified(|known| {
                let is_new = known.0 != latest;
                if is_new {
                    *known = (latest, Instant::now());
                }
                is_new
            });
        }
    }
}

fn news(frame: &WatchPositionResponse) -> Option<News> {
    match frame.standing.as_ref()?.standing.as_ref()? {
        Standing::Waiting(waiting) if waiting.paused => Some(News::Paused),
        Standing::Waiting(_) => Some(News::Moving),
        Standing::Admitted(_) => Some(News::Admitted),
        Standing::Ended(_) => None,
    }
}

async fn redis_of(run: &Run<'_>) -> Option<MultiplexedConnection> {
    let client = redis::Client::open(run.stage.stores.redis.as_deref()?).ok()?;
    client.get_multiplexed_async_connection().await.ok()
}

/// How many commands Redis is sent in a second while so many streams are open and nothing happens.
async fn commands_at_rest(redis: Option<&MultiplexedConnection>, streams: u64) -> Option<Figure> {
    let mut redis = redis?.clone();
    sleep(REST.0).await;
    let begun = Instant::now();
    let before = COMMANDS_PROCESSED.read(&mut redis).await?;
    sleep(REST.1).await;
    let sent = COMMANDS_PROCESSED.read(&mut redis).await?.saturating_sub(before);
    let rate = to_f64(sent) / begun.elapsed().as_secs_f64();
    Some(figure(&format!("Redis commands with {streams} streams"), rate, "/s"))
}

/// A line of Redis' own statistics.
struct Statistic(&'static str);

const COMMANDS_PROCESSED: Statistic = Statistic("total_commands_processed");

impl Statistic {
    async fn read(&self, redis: &mut MultiplexedConnection) -> Option<u64> {
        let info: String = redis::cmd("INFO").arg("stats").query_async(redis).await.ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix(self.0)?.strip_prefix(':'));
        line?.trim().parse().ok()
    }
}

fn figure(name: &str, value: f64, unit: &str) -> Figure {
    Figure { name: name.to_owned(), value, unit: unit.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encore_proto::queue::v1::{Admitted, Standing as Told, Waiting};

    fn frame(standing: Standing) -> WatchPositionResponse {
        WatchPositionResponse { standing: Some(Told { standing: Some(standing) }), ..Default::default() }
    }

    #[test]
    fn a_frame_is_read_as_the_news_that_it_brings() {
        let waiting = |paused| Standing::Waiting(Waiting { paused, position: 7, ..Default::default() });
        assert_eq!(news(&frame(waiting(true))), Some(News::Paused));
        assert_eq!(news(&frame(waiting(false))), Some(News::Moving));
        assert_eq!(news(&frame(Standing::Admitted(Admitted::default()))), Some(News::Admitted));
        assert_eq!(news(&WatchPositionResponse::default()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_told_in_time_is_counted_as_not_told() {
        let since = Instant::now();
        let (learn, news) = watch::channel((News::Paused, since));
        let (_silent, never) = watch::channel((News::Paused, since));
        let caller = || Caller::new(tonic::transport::Endpoint::from_static("http://nowhere").connect_lazy(), "t");
        let watcher = |news| Watcher { caller: caller().expect("a token"), news };
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            learn.send_replace((News::Admitted, Instant::now()));
            learn.closed().await;
        });
        let measured = told(&[watcher(news), watcher(never)], News::Admitted, since, "told").await;
        assert_eq!((measured.successes, measured.errors["NotTold"]), (1, 1));
        assert!(measured.latency.is_some_and(|latency| (latency.max - 300.0).abs() < 1.0));
    }
}
