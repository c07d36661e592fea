//! Many open streams: opening them, and waiting until each has received some news.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::load::drive::pass_on;
use crate::load::{Outcome, Tally};
use crate::report::model::{Measurement, TimedFrom};
use crate::scenario::Run;

/// How many streams are opened at once.
const OPENING_AT_ONCE: usize = 256;
/// How long a stream may take to open and to send its first frame.
const OPENED_WITHIN: Duration = Duration::from_secs(15);
/// A stream without news by then is counted as given up.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// The latest news of a stream, and when it came; closed when the stream has ended.
pub(super) type LatestNews<N> = watch::Receiver<(N, Instant)>;

/// Opens streams, each until its first frame is there. Those that were not open when the rehearsal ended are not counted.
pub(super) async fn open_all<T: Send + 'static>(
    run: &Run<'_>,
    call: &str,
    streams: impl Iterator<Item: Future<Output = Result<T, Status>> + Send + 'static>,
) -> (Vec<T>, Measurement) {
    let places = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let begun = Instant::now();
    let mut opening = JoinSet::new();
    for stream in streams {
        let (places, stop) = (Arc::clone(&places), run.stop().clone());
        opening.spawn(async move {
            let opened = async {
                let _place = places.acquire_owned().await;
                let started = Instant::now();
                let opened = timeout(OPENED_WITHIN, stream).await;
                (started.elapsed(), opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no first frame"))))
            };
            stop.run_until_cancelled(opened).await
        });
    }
    let mut tally = Tally::default();
    let mut opened = Vec::new();
    while let Some(one) = opening.join_next().await {
        let Some((took, answer)) = pass_on(one).flatten() else { continue };
        tally.count(took, Outcome::of(&answer));
        opened.extend(answer);
    }
    let measured = tally.measurement("opened", call, None, begun.elapsed());
    (opened, Measurement { timed_from: TimedFrom::Call, ..measured })
}

/// How soon after a moment these streams received news. Those that had not when the rehearsal ended are not counted.
pub(super) async fn time_to_news<'n, N: Send + Sync + 'static>(
    stop: &CancellationToken,
    streams: impl Iterator<Item = &'n LatestNews<N>>,
    is_it: impl Fn(&N) -> bool,
    since: Instant,
    (phase, call): (&str, &str),
) -> Measurement {
    let mut tally = Tally::default();
    let mut last = Duration::ZERO;
    for news in streams {
        let mut learned = news.clone();
        let patience = (since + TOLD_WITHIN).saturating_duration_since(Instant::now());
        let knows = learned.wait_for(|(latest, _)| is_it(latest));
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
    let measured = tally.measurement(phase, call, None, last);
    Measurement { timed_from: TimedFrom::Event, ..measured }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn who_is_not_told_in_time_gave_up_and_who_was_told_before_is_no_worse_for_it() {
        let since = Instant::now();
        let (learn, news) = watch::channel((1, since));
        let (_silent, never) = watch::channel((1, since));
        let (ended, cut) = watch::channel((1, since));
        drop(ended);
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            learn.send_replace((2, Instant::now()));
            learn.closed().await;
        });
        let streams = [never, cut, news];
        let two = |news: &i32| *news == 2;
        let measured = time_to_news(&CancellationToken::new(), streams.iter(), two, since, ("told", "Watch")).await;
        let errors = (measured.errors["DeadlineExceeded"], measured.errors["StreamEnded"]);
        assert_eq!((measured.successes, errors), (1, (1, 1)));
        assert!(measured.latency.is_some_and(|of| (of.p50 - 300.0).abs() < 1.0 && (of.max - 10_000.0).abs() < 10.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rehearsal_that_ends_does_not_wait_to_be_told() {
        let since = Instant::now();
        let (_silent, never) = watch::channel((1, since));
        let (_told, knows) = watch::channel((2, since));
        let stop = CancellationToken::new();
        stop.cancel();
        let measured = time_to_news(&stop, [never, knows].iter(), |news| *news == 2, since, ("told", "Watch")).await;
        assert_eq!((measured.successes, measured.errors.len(), since.elapsed()), (1, 0, Duration::ZERO));
    }
}
