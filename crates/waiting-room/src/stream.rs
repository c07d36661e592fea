//! A fan's standing as a stream: sent at once, then as it changes, and now and then when it does not.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::queue::QueueTokenPayload;
use futures::Stream;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::error::AppError;
use crate::queue::QueueUseCases;
use crate::queue_replica::{TICK, Watcher};
use crate::queue_status::{ObservedStatus, QueueStatus};
use crate::queue_view::QueueView;

/// A frame is sent at least this often, so that nothing between server and fan takes the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest that a fan at the back goes without looking at the queue.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Who may be called within this time looks at every tick.
const NEAR: Duration = Duration::from_millis(500);
/// What everybody must learn at once is sent to those at the back over this time for each fan who is here, no faster than two cores can
/// tell it, and to nobody later than the next look: a hundred thousand know it after about two seconds.
const RUSH_PER_FAN: Duration = Duration::from_micros(15);
/// What part of that time they let those at the front, who may be called, go before them.
const HEAD_START: u32 = 4;
/// Into how many parts a time is divided over which many are spread.
const PARTS: u32 = 1 << 16;

/// The statuses of one fan. It ends after the one that says that the token has ended, or when the queue could not be read
/// for as long as a heartbeat.
pub struct PositionStream {
    queue: QueueUseCases,
    payload: QueueTokenPayload,
    watcher: Watcher,
    sent: Option<QueueStatus>,
    told_at: Instant,
    /// How often the fan has looked from afar; it spreads the looks of many.
    looks: u64,
    over: bool,
}

impl PositionStream {
    pub(crate) fn new(queue: QueueUseCases, payload: QueueTokenPayload, watcher: Watcher) -> Self {
        Self { queue, payload, watcher, sent: None, told_at: Instant::now(), looks: 0, over: false }
    }

    /// The frames. Only the latest state is ever kept for a slow reader.
    pub fn frames(self) -> impl Stream<Item = Result<ObservedStatus, AppError>> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let frame = stream.next_frame().await?;
            Some((frame, stream))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ObservedStatus, AppError>> {
        if self.over {
            return None;
        }
        loop {
            let view = self.watcher.views.borrow_and_update().clone();
            if let Some(view) = &view {
                match self.news(view).await {
                    Ok(Some(status)) => return Some(Ok(self.tell(view, status))),
                    Ok(None) => {}
                    Err(unavailable) if self.told_at.elapsed() >= HEARTBEAT => {
                        self.over = true;
                        return Some(Err(unavailable));
                    }
                    Err(unavailable) => debug!(error = &unavailable as &dyn std::error::Error, "a status is not known"),
                }
            }
            self.wait(view).await;
        }
    }

    fn tell(&mut self, view: &QueueView, status: QueueStatus) -> ObservedStatus {
        self.over = matches!(status, QueueStatus::Ended(_));
        if let QueueStatus::Admitted { until } = status {
            self.payload.admitted_until = Some(until);
            self.watcher.admitted(until);
        }
        self.sent = Some(status.clone());
        self.told_at = Instant::now();
        self.queue.observed(&self.payload, view.observed_at, status)
    }

    /// The standing, if it is worth telling. An old view is no base for a heartbeat.
    async fn news(&self, view: &Arc<QueueView>) -> Result<Option<QueueStatus>, AppError> {
        if view.read_at.elapsed() >= HEARTBEAT {
            return Err(Unavailable::of("the queue").into());
        }
        let Some(status) = self.queue.status(&self.payload, view).await? else { return Ok(None) };
        let status = status.after(self.sent.as_ref());
        let due = self.told_at.elapsed() >= HEARTBEAT;
        Ok((due || self.sent.as_ref() != Some(&status)).then_some(status))
    }

    async fn wait(&mut self, view: Option<Arc<QueueView>>) {
        let heartbeat_at = self.told_at + HEARTBEAT;
        if let Some(look) = view.and_then(|view| self.next_look(&view)) {
            self.looks += 1;
            let look_at = (Instant::now() + look).min(heartbeat_at);
            let noticed = matches!(timeout_at(look_at, self.watcher.notices.changed()).await, Ok(Ok(())));
            if noticed && let Some(next_look) = self.look_at_latest() {
                let pause = pause(self.watcher.guests(), self.part(), next_look);
                sleep_until((Instant::now() + pause).min(heartbeat_at)).await;
            } else if Instant::now() < look_at && !noticed {
                // The replica is gone while shutting down; a tick's pause keeps this from spinning.
                sleep(TICK).await;
            }
        } else if !matches!(timeout_at(heartbeat_at, self.watcher.views.changed()).await, Ok(Ok(()))) {
            // The heartbeat is due, or the replica is gone while shutting down.
            sleep(TICK).await;
        }
    }

    /// When a fan who is far from the front, as the queue is now, looks again.
    fn look_at_latest(&self) -> Option<Duration> {
        let view = self.watcher.views.borrow().clone();
        view.and_then(|view| self.next_look(&view))
    }

    /// When a fan who is far from the front looks again: before they can be called, and not at the same time as all others.
    /// None for who looks at every tick.
    fn next_look(&self, view: &QueueView) -> Option<Duration> {
        let safe_for = match &self.sent {
            Some(QueueStatus::Waiting(sent)) => view.safe_for(sent.position),
            // Once the numbers are drawn, the number counts.
            Some(QueueStatus::PreQueued { .. }) => {
                self.queue.drawn_position(&self.payload, view).map_or(LOOK_MAX * 2, |position| view.safe_for(position))
            }
            Some(QueueStatus::Admitted { .. } | QueueStatus::Ended(_)) | None => Duration::ZERO,
        };
        if safe_for < NEAR {
            return None;
        }
        let look = (safe_for / 2).min(LOOK_MAX);
        Some(look / 2 + spread(look / 2, self.part()))
    }

    /// A number below [`PARTS`], another one for each fan and look.
    fn part(&self) -> u32 {
        let mixed = (self.payload.index << 20 ^ self.looks).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        u32::try_from(mixed >> 48).unwrap_or(0)
    }
}

/// How long a fan at the back, one of so many here, leaves what everybody must learn to others: those at the front go first, and nobody
/// waits beyond the next look.
fn pause(fans: usize, part: u32, next_look: Duration) -> Duration {
    let rush = RUSH_PER_FAN.saturating_mul(u32::try_from(fans).unwrap_or(u32::MAX));
    (rush / HEAD_START).saturating_add(spread(rush, part)).min(next_look)
}

/// A part of this time.
fn spread(over: Duration, part: u32) -> Duration {
    over.saturating_mul(part) / PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_at_the_back_let_the_front_go_first_and_nobody_pauses_beyond_the_next_look() {
        let millis = Duration::from_millis;
        let pauses = |next_look| [0, PARTS / 2, PARTS - 1].map(|part| pause(100_000, part, next_look));
        let [first, middle, last] = pauses(LOOK_MAX);
        assert_eq!((first, middle), (millis(375), millis(1_125)), "a quarter of the rush, then one after the other");
        assert!(last > millis(1_874) && last < millis(1_875), "{last:?}");
        // Who may be called after 0.8 s looks after 0.4 s at the latest, however many are to be sent.
        assert_eq!(pauses(millis(400)), [millis(375), millis(400), millis(400)]);
        assert_eq!(pause(usize::MAX, PARTS - 1, millis(400)), millis(400));
        assert_eq!(pause(1, PARTS - 1, LOOK_MAX).as_millis(), 0, "alone, nobody is in the way");
    }
}
