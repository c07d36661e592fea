//! Seats as a stream: a snapshot, then deltas, and heartbeats while nothing changes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use futures::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::SeatMapError;
use crate::frames::{ObservedSeats, Part, SeatFrame};
use crate::replica::Replica;
use crate::tick::Tick;

/// A frame is sent at least this often, so that proxies do not close the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Who watches, and what.
#[derive(Clone, Debug)]
pub struct SeatWatch<'a> {
    /// The watcher. The number of streams per fan is limited.
    pub user: UserId,
    /// Only these sections, by name; empty for all.
    pub sections: &'a HashSet<String>,
    /// The version that the watcher has of these very seats; none for none.
    pub after_version: Option<u64>,
    /// When the stream ends; none for never.
    pub until: Option<Timestamp>,
}

/// The seats of one watcher. The stream ends with [`SeatMapError::WatchExpired`] when the watch is over, and with
/// [`SeatMapError::Unavailable`] when the seats could not be read for as long as a heartbeat.
pub struct SeatStream {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    user: UserId,
    part: Part,
    after_version: Option<u64>,
    until: Option<Timestamp>,
    ticks: watch::Receiver<Option<Arc<Tick>>>,
    /// The number of the tick that was sent last.
    sent: Option<u64>,
    sent_at: Instant,
    is_over: bool,
}

impl Drop for SeatStream {
    fn drop(&mut self) {
        self.replica.close_stream(self.user);
    }
}

impl SeatStream {
    /// Watches a replica, unless the fan has as many streams as allowed.
    pub(crate) fn open(
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        watch: &SeatWatch<'_>,
    ) -> Result<Self, SeatMapError> {
        let &SeatWatch { user, sections, after_version, until } = watch;
        replica.open_stream(user)?;
        let part = Part::of(&replica.context.venue.chart, sections);
        let (ticks, sent_at) = (replica.ticks(), Instant::now());
        Ok(Self { replica, clock, user, part, after_version, until, ticks, sent: None, sent_at, is_over: false })
    }

    /// The frames. Nothing is buffered for a slow reader: its next frame leads from what it was sent to the latest state.
    pub fn frames(self) -> impl Stream<Item = Result<ObservedSeats, SeatMapError>> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let frame = stream.next_frame().await?;
            Some((frame, stream))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ObservedSeats, SeatMapError>> {
        if self.is_over {
            return None;
        }
        loop {
            let tick = self.ticks.borrow_and_update().clone();
            match self.frame(tick.as_deref()) {
                Ok(None) => {}
                Ok(Some(seats)) => {
                    self.sent_at = Instant::now();
                    return Some(Ok(seats));
                }
                Err(end) => {
                    self.is_over = true;
                    return Some(Err(end));
                }
            }
            // Either there is a new tick, or the heartbeat is due. The next round checks both.
            let _changed = timeout_at(self.sent_at + HEARTBEAT, self.ticks.changed()).await;
        }
    }

    /// The frame to send now; none if nothing has changed and no heartbeat is due.
    fn frame(&mut self, tick: Option<&Tick>) -> Result<Option<ObservedSeats>, SeatMapError> {
        if self.until.is_some_and(|until| self.clock.now() >= until) {
            return Err(SeatMapError::WatchExpired);
        }
        let heartbeat_due = self.sent_at.elapsed() >= HEARTBEAT;
        if heartbeat_due && !self.replica.is_confirmed_within(HEARTBEAT) {
            return Err(Unavailable::of("the seat map").into());
        }
        let Some(tick) = tick else { return Ok(None) };
        let frame = match self.sent.replace(tick.number) {
            None => Some(self.replica.first_frame(self.after_version, &self.part, tick)),
            Some(sent) => self.replica.next_frame(sent, &self.part, tick),
        };
        let frame = frame.or(heartbeat_due.then_some(SeatFrame::Heartbeat));
        Ok(frame.map(|frame| ObservedSeats { version: tick.state.version, frame }))
    }
}
