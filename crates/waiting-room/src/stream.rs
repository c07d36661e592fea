//! The stream of a token's statuses: one at once, one per change, and one per heartbeat without a change.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use futures::Stream;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::error::WaitingRoomError;
use crate::registry::TICK;
use crate::replica::Watcher;
use crate::status::{ObservedStatus, QueueStatus};
use crate::status_reader::StatusReader;
use crate::view::QueueView;

/// A frame is sent at least this often, so that no proxy closes the stream as idle.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest time between two reads of the view by a fan far from the front.
const READ_AGAIN_MAX: Duration = Duration::from_secs(5);
/// A fan who may be called within this time reads every view.
const NEAR: Duration = Duration::from_millis(500);
/// A change that every fan is sent at once is spread over this time per present fan, for fans far from the front: two cores send
/// no faster. A hundred thousand fans are sent it within about two seconds, and nobody later than the next read.
const SPREAD_PER_FAN: Duration = Duration::from_micros(15);
/// The part of that time by which fans far from the front wait for those near it, who may be called.
const HEAD_START: u32 = 4;
/// Into how many parts a time is divided when reads are spread over it.
const PARTS: u32 = 1 << 16;

/// The statuses of one token. The stream ends after the status that says the token has ended, or with an error if the queue could
/// not be read for as long as a heartbeat.
pub struct PositionStream {
    statuses: StatusReader,
    watcher: Watcher,
    sent: Option<QueueStatus>,
    sent_at: Instant,
    /// How often the fan has read the view while far from the front. It spreads the reads of many fans.
    reads: u64,
    over: bool,
}

impl PositionStream {
    pub(crate) fn new(statuses: StatusReader, watcher: Watcher) -> Self {
        Self { statuses, watcher, sent: None, sent_at: Instant::now(), reads: 0, over: false }
    }

    /// The frames. For a slow reader only the latest status is kept.
    pub fn frames(self) -> impl Stream<Item = Result<ObservedStatus, WaitingRoomError>> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let frame = stream.next_frame().await?;
            Some((frame, stream))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ObservedStatus, WaitingRoomError>> {
        if self.over {
            return None;
        }
        loop {
            let view = self.watcher.views.borrow_and_update().clone();
            if let Some(view) = &view {
                match self.news(view).await {
                    Ok(Some(status)) => return Some(Ok(self.frame(view, status))),
                    Ok(None) => {}
                    Err(error) if self.sent_at.elapsed() >= HEARTBEAT => {
                        self.over = true;
                        return Some(Err(error));
                    }
                    Err(error) => {
                        debug!(error = &error as &dyn std::error::Error, "cannot read a queue status; trying again");
                    }
                }
            }
            self.wait(view).await;
        }
    }

    fn frame(&mut self, view: &QueueView, status: QueueStatus) -> ObservedStatus {
        self.over = matches!(status, QueueStatus::Ended(_));
        self.statuses.note_end(self.watcher.payload(), &status, view.observed_at);
        if let QueueStatus::Admitted { until } = status {
            self.watcher.note_admission(until);
        }
        self.sent = Some(status.clone());
        self.sent_at = Instant::now();
        ObservedStatus { observed_at: view.observed_at, status }
    }

    /// The status, if it changed or a heartbeat is due. A view older than a heartbeat is an error.
    async fn news(&self, view: &Arc<QueueView>) -> Result<Option<QueueStatus>, WaitingRoomError> {
        if view.read_at.elapsed() >= HEARTBEAT {
            return Err(Unavailable::of("the queue").into());
        }
        let Some(status) = self.statuses.read(self.watcher.payload(), view).await? else { return Ok(None) };
        let status = status.after(self.sent.as_ref());
        let due = self.sent_at.elapsed() >= HEARTBEAT;
        Ok((due || self.sent.as_ref() != Some(&status)).then_some(status))
    }

    /// Waits until the view is to be read again.
    async fn wait(&mut self, view: Option<Arc<QueueView>>) {
        let heartbeat_at = self.sent_at + HEARTBEAT;
        if let Some(pause) = view.and_then(|view| self.read_again_in(&view)) {
            self.reads += 1;
            let read_at = (Instant::now() + pause).min(heartbeat_at);
            let noticed = matches!(timeout_at(read_at, self.watcher.notices.changed()).await, Ok(Ok(())));
            if noticed && let Some(next_read) = self.read_latest_again_in() {
                let pause = pause_after_notice(self.watcher.fans(), self.part(), next_read);
                sleep_until((Instant::now() + pause).min(heartbeat_at)).await;
            } else if Instant::now() < read_at && !noticed {
                // The replica is dropped during shutdown. The sleep keeps this loop from spinning.
                sleep(TICK).await;
            }
        } else if !matches!(timeout_at(heartbeat_at, self.watcher.views.changed()).await, Ok(Ok(()))) {
            // The heartbeat is due, or the replica is dropped during shutdown.
            sleep(TICK).await;
        }
    }

    fn read_latest_again_in(&self) -> Option<Duration> {
        let view = self.watcher.views.borrow().clone();
        view.and_then(|view| self.read_again_in(&view))
    }

    /// In how long a fan far from the front reads the view again: before the fan can be called, and at another moment than other
    /// fans. None for a fan who reads every view.
    fn read_again_in(&self, view: &QueueView) -> Option<Duration> {
        let safe_for = match &self.sent {
            Some(QueueStatus::Waiting(sent)) => view.safe_for(sent.position_by_need),
            // Once the numbers are drawn, the drawn number decides.
            Some(QueueStatus::PreQueued { .. }) => {
                let position = self.statuses.drawn_position(self.watcher.payload(), view);
                position.map_or(READ_AGAIN_MAX * 2, |position| view.safe_for(position))
            }
            Some(QueueStatus::Admitted { .. } | QueueStatus::Ended(_)) | None => Duration::ZERO,
        };
        if safe_for < NEAR {
            return None;
        }
        let pause = (safe_for / 2).min(READ_AGAIN_MAX);
        Some(pause / 2 + spread(pause / 2, self.part()))
    }

    /// A number below [`PARTS`] that differs by fan and read.
    fn part(&self) -> u32 {
        let mixed = (self.watcher.payload().index << 20 ^ self.reads).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        u32::try_from(mixed >> 48).unwrap_or(0)
    }
}

/// How long a fan far from the front waits after a notice, where `fans` are present: fans near the front are sent it first. The wait
/// never exceeds the time until the next read.
fn pause_after_notice(fans: usize, part: u32, next_read: Duration) -> Duration {
    let over = SPREAD_PER_FAN.saturating_mul(u32::try_from(fans).unwrap_or(u32::MAX));
    (over / HEAD_START).saturating_add(spread(over, part)).min(next_read)
}

/// The given part of a time.
fn spread(over: Duration, part: u32) -> Duration {
    over.saturating_mul(part) / PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_far_from_the_front_wait_after_a_notice_and_never_beyond_their_next_read() {
        let millis = Duration::from_millis;
        let pauses = |next_read| [0, PARTS / 2, PARTS - 1].map(|part| pause_after_notice(100_000, part, next_read));
        let [first, middle, last] = pauses(READ_AGAIN_MAX);
        assert_eq!((first, middle), (millis(375), millis(1_125)), "the head start, then spread evenly");
        assert!(last > millis(1_874) && last < millis(1_875), "{last:?}");
        // A fan who may be called after 0.8 s reads after 0.4 s at the latest, however many fans are present.
        assert_eq!(pauses(millis(400)), [millis(375), millis(400), millis(400)]);
        assert_eq!(pause_after_notice(usize::MAX, PARTS - 1, millis(400)), millis(400));
        assert_eq!(pause_after_notice(1, PARTS - 1, READ_AGAIN_MAX).as_millis(), 0, "a single fan does not wait");
    }
}
