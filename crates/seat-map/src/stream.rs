//! Live seats as a stream: all of them at first, then what changes, and now and then that nothing does.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use encore_domain::ports::Clock;
use encore_domain::queue::EndReason;
use encore_domain::time::Timestamp;
use futures::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::AppError;
use crate::seat_change_log::SeatTick;
use crate::seat_frames::{ObservedSeats, Part, SeatFrame};
use crate::seat_replica::SeatReplica;

/// A frame is sent at least this often, so that nothing between server and fan takes the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Who watches, and what.
pub(crate) struct SeatWatch {
    pub(crate) user: UserId,
    pub(crate) part: Part,
    /// The version that the watcher has; none for none.
    pub(crate) after_version: Option<u64>,
    /// When the watcher's admission is over; none if it is not limited.
    pub(crate) until: Option<Timestamp>,
}

/// The seats of one watcher. It ends with an error when the watcher's admission is over, or when the seats could not be read
/// for as long as a heartbeat.
pub struct SeatStream {
    replica: Arc<SeatReplica>,
    clock: Arc<dyn Clock>,
    watch: SeatWatch,
    ticks: watch::Receiver<Option<Arc<SeatTick>>>,
    /// The number of the tick that was sent last.
    sent: Option<u64>,
    told_at: Instant,
    over: bool,
}

impl Drop for SeatStream {
    fn drop(&mut self) {
        self.replica.leave(self.watch.user);
    }
}

impl SeatStream {
    /// Watches a replica, unless the fan does so too often already.
    pub(crate) fn open(replica: Arc<SeatReplica>, clock: Arc<dyn Clock>, watch: SeatWatch) -> Result<Self, AppError> {
        replica.enter(watch.user)?;
        let ticks = replica.ticks();
        Ok(Self { replica, clock, watch, ticks, sent: None, told_at: Instant::now(), over: false })
    }

    /// The frames. Nothing is kept for a slow reader: the next frame leads from what was sent to the latest state.
    pub fn frames(self) -> impl Stream<Item = Result<ObservedSeats, AppError>> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let frame = stream.next_frame().await?;
            Some((frame, stream))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ObservedSeats, AppError>> {
        if self.over {
            return None;
        }
        loop {
            let tick = self.ticks.borrow_and_update().clone();
            match self.news(tick.as_deref()) {
                Ok(None) => {}
                Ok(Some(seats)) => {
                    self.told_at = Instant::now();
                    return Some(Ok(seats));
                }
                Err(end) => {
                    self.over = true;
                    return Some(Err(end));
                }
            }
            // Either there is a tick, or the heartbeat is due: both are looked at next.
            let _changed = timeout_at(self.told_at + HEARTBEAT, self.ticks.changed()).await;
        }
    }

    fn news(&mut self, tick: Option<&SeatTick>) -> Result<Option<ObservedSeats>, AppError> {
        if self.watch.until.is_some_and(|until| self.clock.now() >= until) {
            return Err(AppError::QueueTokenEnded(EndReason::Expired));
        }
        let due = self.told_at.elapsed() >= HEARTBEAT;
        if due && !self.replica.is_right_within(HEARTBEAT) {
            return Err(Unavailable::of("the seat map").into());
        }
        let Some(tick) = tick else { return Ok(None) };
        let sent = self.sent.replace(tick.number);
        let frame = self.replica.frame(sent, &self.watch, tick).or(due.then_some(SeatFrame::Heartbeat));
        Ok(frame.map(|frame| ObservedSeats { version: tick.state.version, frame }))
    }
}
