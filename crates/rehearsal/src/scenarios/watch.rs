//! Many open position streams: what one costs, and how soon all know what concerns them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encore_proto::queue::v1::WatchPositionResponse;
use encore_proto::queue::v1::standing::Standing;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::client::Caller;
use crate::hall::Hall;
use crate::load::drive::pass_on;
use crate::load::tally::to_f64;
use crate::load::{Outcome, Paced, Saturated, Tally};
use crate::operator::{LineTerms, Terms};
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::{Figure, Measurement, TimedFrom};
use crate::resources::usage_of;
use crate::scenarios::callers::Callers;
use crate::scenarios::redis_statistics::RedisStatistics;

/// How many streams there are by default.
const STREAMS: u64 = 10_000;
/// How many are admitted at once.
const ADMITTED: u64 = 1_000;
/// How many streams are opened at once.
const OPENING_AT_ONCE: usize = 256;
/// How long nothing is done before the streams' rest is measured, and for how long it is.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// How long a stream may take to open and to send its first frame.
const OPENED_WITHIN: Duration = Duration::from_secs(15);
/// Who is not told by then is counted as one who gave up.
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
    /// Of all who joined, from 0.
    place: usize,
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
    let performance = performances[0].clone();
    let (waiting, joined) = join_all(run, Callers::make(run, streams).await?, &performance).await;
    if count(waiting.len()) < streams {
        run.live.phase(&format!("only {} of {streams} fans joined", waiting.len()));
    }
    let mut findings = Findings { measurements: vec![joined], performances, ..Findings::default() };
    let watchers = open_in_steps(run, waiting, streams, &mut findings).await;
    let admitted = usize::try_from(admitted).unwrap_or(usize::MAX);
    if let Err(status) = tell_all(run, (&performance, line), &watchers, admitted, &mut findings.measurements).await {
        run.live.phase(&format!("the rest is left out, the line cannot be moved: {}", status.message()));
    }
    Ok(findings)
}

/// Opens ever more streams, and looks at each step what Redis has to do while nothing happens, and at the end what memory
/// the streams take.
async fn open_in_steps(run: &Run<'_>, waiting: Vec<Caller>, streams: u64, findings: &mut Findings) -> Vec<Watcher> {
    let mut watchers = Vec::new();
    let redis = RedisStatistics::of(run).await;
    let servers = || run.stage.instances.as_ref().map(|instances| usage_of(&instances.pids()).memory_bytes);
    let memory_before = servers();
    let mut rest = waiting.into_iter().enumerate();
    for step in [streams.div_ceil(10), streams.div_ceil(3), streams] {
        if run.stop().is_cancelled() {
            break;
        }
        let missing = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(watchers.len());
        run.live.phase(&format!("to {step} streams"));
        let (opened, measured) = open(run, rest.by_ref().take(missing).collect()).await;
        watchers.extend(opened);
        findings.measurements.push(Measurement { phase: format!("to {step}"), ..measured });
        findings.figures.extend(commands_at_rest(run, redis.clone(), &watchers).await);
    }
    if let (Some(before), Some(after), open @ 1..) = (memory_before, servers(), open_now(&watchers)) {
        let kib = to_f64(after.saturating_sub(before)) / 1_024.0 / to_f64(open);
        findings.figures.push(Figure::new(format!("server memory per stream, of {open}"), kib, "KiB"));
    }
    watchers
}

/// The line moves again, which concerns everybody, and the first are admitted; then these leave, and the next are. What was
/// measured is kept, also if the rest cannot be.
async fn tell_all(
    run: &Run<'_>,
    (performance, line): (&str, LineTerms),
    watchers: &[Watcher],
    admitted: usize,
    measured: &mut Vec<Measurement>,
) -> Result<(), Status> {
    let stop = run.stop();
    if stop.is_cancelled() {
        return Ok(());
    }
    let (first, others) = watchers.split_at(watchers.partition_point(|watcher| watcher.place < admitted));
    let next = &others[..others.partition_point(|watcher| watcher.place < 2 * admitted)];
    run.live.phase("the line moves again");
    let moved_at = Instant::now();
    let resumed = run.stage.operator.set_line(performance, LineTerms { paused: false, ..line });
    tokio::select! {
        resumed = resumed => drop(resumed?),
        () = stop.cancelled() => return Ok(()),
    }
    measured.push(told(stop, first, News::Admitted, moved_at, "admitted when the line moves").await);
    measured.push(told(stop, others, News::Moving, moved_at, "all know that the line moves").await);
    if stop.is_cancelled() {
        return Ok(());
    }
    run.live.phase(&format!("{} leave, and the next are admitted", first.len()));
    let first_leave_at = Instant::now();
    let leaving = run.load.pace(Paced::at_once(count(first.len())), ("all at once", "LeaveQueue"), |number| {
        let leaver = usize::try_from(number).ok().and_then(|number| first.get(number));
        let leaver = leaver.map(|watcher| watcher.caller.clone());
        async move {
            match leaver {
                Some(caller) => Outcome::of(&caller.leave().await),
                None => Outcome::given_up(),
            }
        }
    });
    measured.push(leaving.await);
    measured.push(told(stop, next, News::Admitted, first_leave_at, "admitted, from the first leave").await);
    Ok(())
}

/// How soon after a moment these streams told something. Those that had not when the rehearsal ended are not counted.
async fn told(stop: &CancellationToken, watchers: &[Watcher], news: News, since: Instant, phase: &str) -> Measurement {
    let mut tally = Tally::default();
    let mut last = Duration::ZERO;
    for watcher in watchers {
        let mut learned = watcher.news.clone();
        let patience = (since + TOLD_WITHIN).saturating_duration_since(Instant::now());
        let knows = learned.wait_for(|(latest, _)| *latest == news || *latest == News::Admitted);
        let knows = tokio::select! {
            biased;
            knows = timeout(patience, knows) => knows.map(|latest| latest.ok().map(|latest| latest.1)),
            () = stop.cancelled() => continue,
        };
        match knows {
            Ok(Some(at)) => {
                let took = at.saturating_duration_since(since);
                last = last.max(took);
                tally.count(took, Outcome::Success);
            }
            Ok(None) => tally.count(TOLD_WITHIN, Outcome::Failed("StreamEnded".to_owned())),
            Err(_) => tally.count(TOLD_WITHIN, Outcome::given_up()),
        }
    }
    let measured = tally.measurement(phase, "WatchPosition", None, last);
    Measurement { timed_from: TimedFrom::Event, ..measured }
}

/// Those who joined, in the order of the line, and what joining took.
async fn join_all(run: &Run<'_>, callers: Callers, performance: &str) -> (Vec<Caller>, Measurement) {
    let joined: Arc<Mutex<Vec<(u64, Caller)>>> = Arc::default();
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
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
            }
            outcome
        }
    });
    let measured = joining.await;
    let mut joined = std::mem::take(&mut *joined.lock().unwrap_or_else(PoisonError::into_inner));
    joined.sort_unstable_by_key(|(number, _)| *number);
    (joined.into_iter().map(|(_, caller)| caller).collect(), measured)
}

/// Opens streams and waits for the first frame of each. Those that were not open when the rehearsal ended are not counted.
async fn open(run: &Run<'_>, callers: Vec<(usize, Caller)>) -> (Vec<Watcher>, Measurement) {
    let places = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let begun = Instant::now();
    let mut opening = JoinSet::new();
    for (place, caller) in callers {
        let (places, stop) = (Arc::clone(&places), run.stop().clone());
        opening.spawn(async move {
            let opened = async {
                let _place = places.acquire_owned().await;
                let started = Instant::now();
                let opened = timeout(OPENED_WITHIN, open_one(place, caller)).await;
                (started.elapsed(), opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no first frame"))))
            };
            stop.run_until_cancelled(opened).await
        });
    }
    let mut tally = Tally::default();
    let mut opened: Vec<Watcher> = Vec::new();
    while let Some(one) = opening.join_next().await {
        let Some((took, answer)) = pass_on(one).flatten() else { continue };
        tally.count(took, Outcome::of(&answer));
        opened.extend(answer);
    }
    opened.sort_unstable_by_key(|watcher| watcher.place);
    let measured = tally.measurement("opened", "WatchPosition", None, begun.elapsed());
    (opened, Measurement { timed_from: TimedFrom::Call, ..measured })
}

async fn open_one(place: usize, caller: Caller) -> Result<Watcher, Status> {
    let mut frames = caller.watch().await?;
    let first = frames.message().await?.ok_or_else(|| Status::data_loss("a stream without a frame"))?;
    let (learn, news) = watch::channel((news(&first).unwrap_or(News::Paused), Instant::now()));
    tokio::spawn(read(frames, learn));
    Ok(Watcher { caller, place, news })
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
        Standing::Collected(_) | Standing::Ended(_) => None,
    }
}

/// How many of the streams have not ended.
fn open_now(watchers: &[Watcher]) -> u64 {
    count(watchers.iter().filter(|watcher| watcher.news.has_changed().is_ok()).count())
}

/// How many commands Redis is sent in a second while the streams are open and nothing happens.
async fn commands_at_rest(run: &Run<'_>, redis: Option<RedisStatistics>, watchers: &[Watcher]) -> Option<Figure> {
    let mut redis = redis?;
    let resting = async {
        sleep(REST.0).await;
        let begun = Instant::now();
        let before = redis.commands_processed().await?;
        sleep(REST.1).await;
        let sent = redis.commands_processed().await?.saturating_sub(before);
        Some(to_f64(sent) / begun.elapsed().as_secs_f64())
    };
    let rate = run.stop().run_until_cancelled(resting).await.flatten()?;
    Some(Figure::new(format!("Redis commands with {} streams", open_now(watchers)), rate, "/s"))
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
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

    fn watcher(news: watch::Receiver<(News, Instant)>) -> Watcher {
        let nowhere = tonic::transport::Endpoint::from_static("http://nowhere").connect_lazy();
        Watcher { caller: Caller::new(nowhere, "t").expect("a token"), place: 0, news }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_told_in_time_gave_up_and_who_was_told_before_is_no_worse_for_it() {
        let since = Instant::now();
        let (learn, news) = watch::channel((News::Paused, since));
        let (_silent, never) = watch::channel((News::Paused, since));
        let (ended, cut) = watch::channel((News::Paused, since));
        drop(ended);
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            learn.send_replace((News::Admitted, Instant::now()));
            learn.closed().await;
        });
        let watchers = [watcher(never), watcher(cut), watcher(news)];
        assert_eq!(open_now(&watchers), 2);
        let measured = told(&CancellationToken::new(), &watchers, News::Admitted, since, "told").await;
        let errors = (measured.errors["DeadlineExceeded"], measured.errors["StreamEnded"]);
        assert_eq!((measured.successes, errors), (1, (1, 1)));
        assert!(measured.latency.is_some_and(|of| (of.p50 - 300.0).abs() < 1.0 && (of.max - 10_000.0).abs() < 10.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rehearsal_that_ends_does_not_wait_to_be_told() {
        let since = Instant::now();
        let (_silent, never) = watch::channel((News::Paused, since));
        let (_told, knows) = watch::channel((News::Admitted, since));
        let stop = CancellationToken::new();
        stop.cancel();
        let measured = told(&stop, &[watcher(never), watcher(knows)], News::Admitted, since, "told").await;
        assert_eq!((measured.successes, measured.errors.len(), since.elapsed()), (1, 0, Duration::ZERO));
    }
}
