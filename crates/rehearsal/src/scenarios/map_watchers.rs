//! Many who watch a seat map: what is sent first, and how soon all see a change.

use std::time::Duration;

use encore_proto::catalog::v1::WatchSeatsResponse;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::client::Caller;
use crate::load::Outcome;
use crate::load::tally::to_f64;
use crate::operator::Terms;
use crate::report::model::Figure;
use crate::resources::usage_of;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::scenarios::streams::{LatestNews, open_all, time_to_news};
use crate::venue::Venue;

/// How many watch by default.
const WATCHERS: u64 = 10_000;
/// The seats of the venue that they watch.
const SEATS: u32 = 50_000;
/// How many changes are waited for, one after the other.
const CHANGES: u64 = 10;
/// What is called for a stream.
const CALL: &str = "WatchSeats";

/// A stream that has sent all seats.
struct Watcher {
    snapshot_bytes: usize,
    /// How many changes of seats it has sent.
    changes: LatestNews<u64>,
}

/// Adds what watchers saw.
pub(super) async fn run(run: &Run<'_>, findings: &mut Findings) -> Result<(), RehearsalError> {
    let venue = Venue::of(SEATS);
    let terms = Terms { seats_per_fan: 20, hold_for: Duration::from_mins(5), queue: None };
    let sale = run.environment.operator.put_on_sale(venue, &terms, 1);
    let performance = sale.await.map_err(RehearsalError::setup("the sale"))?.remove(0);
    let callers = Callers::make(run, run.fans(WATCHERS)).await?;
    callers.look_at(&performance).await.map_err(RehearsalError::setup("the seats"))?;
    run.live.phase(&format!("{} fans watch {} seats", callers.len(), venue.seats()));
    let servers = || run.environment.instances.as_ref().map(|instances| usage_of(&instances.pids()).memory_bytes);
    let memory_before = servers();
    let streams = (0..callers.len()).map(|turn| open(callers.turn(turn).clone(), performance.clone()));
    let (watchers, opened) = open_all(run, CALL, streams).await;
    findings.measurements.push(opened);
    findings.performances.push(performance.clone());
    let Some(first) = watchers.first() else { return Ok(()) };
    let kib = |bytes: u64| to_f64(bytes) / 1_024.0;
    let snapshot = u64::try_from(first.snapshot_bytes).unwrap_or(u64::MAX);
    findings.figures.push(Figure::new(format!("snapshot of {} seats", venue.seats()), kib(snapshot), "KiB"));
    if let (Some(before), Some(after)) = (memory_before, servers()) {
        let each = kib(after.saturating_sub(before)) / to_f64(u64::try_from(watchers.len()).unwrap_or(u64::MAX));
        findings.figures.push(Figure::new(format!("server memory per map stream, of {}", watchers.len()), each, "KiB"));
    }
    for (change, pair) in (1..=CHANGES).zip(venue.pairs()) {
        if run.stop().is_cancelled() {
            break;
        }
        run.live.phase(&format!("two seats are held, for the {change}. time"));
        let since = Instant::now();
        let request = request_id(run.args.seed, 0, change);
        if let Outcome::Failed(why) = Outcome::of(&callers.turn(change).hold(request, &performance, &pair).await) {
            run.live.phase(&format!("the rest is left out, seats cannot be held: {why}"));
            break;
        }
        let seats = 2 * change;
        let all = watchers.iter().map(|watcher| &watcher.changes);
        let phase = format!("all see change {change}, from the call that holds");
        findings.measurements.push(time_to_news(run.stop(), all, |told| *told >= seats, since, (&phase, CALL)).await);
    }
    Ok(())
}

async fn open(caller: Caller, performance: String) -> Result<Watcher, Status> {
    let mut frames = caller.watch_seats(&performance).await?;
    let first = frames.message().await?.ok_or_else(|| Status::data_loss("a stream without a frame"))?;
    if !matches!(first.frame, Some(Frame::Snapshot(_))) {
        return Err(Status::data_loss("a stream that does not begin with all seats"));
    }
    let (learn, changes) = watch::channel((0, Instant::now()));
    tokio::spawn(read(frames, learn));
    Ok(Watcher { snapshot_bytes: prost::Message::encoded_len(&first), changes })
}

/// Reads a stream until it ends or nobody listens.
async fn read(mut frames: Streaming<WatchSeatsResponse>, learn: watch::Sender<(u64, Instant)>) {
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            () = learn.closed() => return,
        };
        let Ok(Some(frame)) = frame else { return };
        if let Some(Frame::Delta(delta)) = frame.frame {
            let more = u64::try_from(delta.changes.len()).unwrap_or(u64::MAX);
            learn.send_modify(|(changes, at)| (*changes, *at) = (*changes + more, Instant::now()));
        }
    }
}
