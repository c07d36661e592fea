//! Many open position streams: what one costs, and how soon all know what concerns them.

use std::time::Duration;

use encore_proto::queue::v1::WatchPositionResponse;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tonic::{Status, Streaming};

use crate::client::Caller;
use crate::load::tally::to_f64;
use crate::load::{Outcome, Paced};
use crate::operator::{QueueTerms, Terms};
use crate::report::model::{Figure, Measurement};
use crate::resources::usage_of;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::Callers;
use crate::scenarios::redis_statistics::RedisStatistics;
use crate::scenarios::streams::{LatestNews, open_all, time_to_news};
use crate::venue::Venue;

/// How many streams there are by default.
const STREAMS: u64 = 10_000;
/// How many are admitted at once.
const ADMITTED: u64 = 1_000;
/// How long nothing is done before the streams' rest is measured, and for how long it is.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// What is called for a stream.
const CALL: &str = "WatchPosition";

/// What a stream is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing has happened yet.
    Paused,
    /// The queue moves again.
    Moving,
    /// The fan is in.
    Admitted,
}

/// An open stream, read by a task of its own that says what it learned last.
struct Watcher {
    caller: Caller,
    /// Of all who joined, from 0.
    place: usize,
    news: LatestNews<News>,
}

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let streams = run.fans(STREAMS);
    let admitted = ADMITTED.min(streams.div_ceil(2));
    let max_active = u32::try_from(admitted).unwrap_or(u32::MAX);
    let queue = QueueTerms { per_second: 100_000, batch: 100_000, max_active, paused: true, grace: None };
    run.live.phase(&format!("{streams} fans join a queue that is paused"));
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), queue: Some(queue) };
    let sale = run.environment.operator.put_on_sale(Venue::of(2_000), &terms, 1);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    let performance = performances[0].clone();
    let (waiting, joined) = Callers::make(run, streams).await?.join(run, streams, &performance).await;
    if count(waiting.len()) < streams {
        run.live.phase(&format!("only {} of {streams} fans joined", waiting.len()));
    }
    let mut findings = Findings { measurements: vec![joined], performances, ..Findings::default() };
    let watchers = open_in_steps(run, waiting, streams, &mut findings).await;
    let admitted = usize::try_from(admitted).unwrap_or(usize::MAX);
    if let Err(status) = tell_all(run, (&performance, queue), &watchers, admitted, &mut findings.measurements).await {
        run.live.phase(&format!("the rest is left out, the queue cannot be resumed: {}", status.message()));
    }
    Ok(findings)
}

/// Opens ever more streams, and looks at each step what Redis has to do while nothing happens, and at the end what memory
/// the streams take.
async fn open_in_steps(run: &Run<'_>, waiting: Vec<Caller>, streams: u64, findings: &mut Findings) -> Vec<Watcher> {
    let mut watchers = Vec::new();
    let redis = RedisStatistics::of(run).await;
    let servers = || run.environment.instances.as_ref().map(|instances| usage_of(&instances.pids()).memory_bytes);
    let memory_before = servers();
    let mut rest = waiting.into_iter().enumerate();
    for step in [streams.div_ceil(10), streams.div_ceil(3), streams] {
        if run.stop().is_cancelled() {
            break;
        }
        let missing = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(watchers.len());
        run.live.phase(&format!("to {step} streams"));
        let opening = rest.by_ref().take(missing).map(|(place, caller)| open_one(place, caller));
        let (opened, measured) = open_all(run, CALL, opening).await;
        watchers.extend(opened);
        watchers.sort_unstable_by_key(|watcher| watcher.place);
        findings.measurements.push(Measurement { phase: format!("to {step}"), ..measured });
        findings.figures.extend(commands_at_rest(run, redis.clone(), &watchers).await);
    }
    if let (Some(before), Some(after), open @ 1..) = (memory_before, servers(), open_now(&watchers)) {
        let kib = to_f64(after.saturating_sub(before)) / 1_024.0 / to_f64(open);
        findings.figures.push(Figure::new(format!("server memory per stream, of {open}"), kib, "KiB"));
    }
    watchers
}

/// The queue is resumed, which concerns everybody, and the first are admitted; then these leave, and the next are. What was
/// measured is kept, also if the rest cannot be.
async fn tell_all(
    run: &Run<'_>,
    (performance, queue): (&str, QueueTerms),
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
    run.live.phase("the queue moves again");
    let moved_at = Instant::now();
    let resumed = run.environment.operator.update_queue(performance, QueueTerms { paused: false, ..queue });
    tokio::select! {
        resumed = resumed => drop(resumed?),
        () = stop.cancelled() => return Ok(()),
    }
    let admitted = |news: &News| *news == News::Admitted;
    measured.push(time_to_news(stop, of(first), admitted, moved_at, ("admitted when the queue moves", CALL)).await);
    let moving = |news: &News| *news != News::Paused;
    measured.push(time_to_news(stop, of(others), moving, moved_at, ("all know that the queue moves", CALL)).await);
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
    measured
        .push(time_to_news(stop, of(next), admitted, first_leave_at, ("admitted, from the first leave", CALL)).await);
    Ok(())
}

/// What these have learned.
fn of(watchers: &[Watcher]) -> impl Iterator<Item = &LatestNews<News>> {
    watchers.iter().map(|watcher| &watcher.news)
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
    match frame.status.as_ref()?.status.as_ref()? {
        QueueStatus::Waiting(waiting) if waiting.paused => Some(News::Paused),
        QueueStatus::Waiting(_) => Some(News::Moving),
        QueueStatus::Admitted(_) => Some(News::Admitted),
        QueueStatus::PreQueued(_) | QueueStatus::Ended(_) => None,
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
    use encore_proto::queue::v1::{Admitted, QueueStatus as Told, Waiting};

    fn frame(status: QueueStatus) -> WatchPositionResponse {
        WatchPositionResponse { status: Some(Told { status: Some(status) }), ..Default::default() }
    }

    #[test]
    fn a_frame_is_read_as_the_news_that_it_brings() {
        let waiting = |paused| QueueStatus::Waiting(Waiting { paused, position: 7, ..Default::default() });
        assert_eq!(news(&frame(waiting(true))), Some(News::Paused));
        assert_eq!(news(&frame(waiting(false))), Some(News::Moving));
        assert_eq!(news(&frame(QueueStatus::Admitted(Admitted::default()))), Some(News::Admitted));
        assert_eq!(news(&WatchPositionResponse::default()), None);
    }
}
