//! A fan's standing as a stream: told at once, then as it changes, and now and then when it does not.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::line_snapshot::Standing;
use encore_domain::queue::{LineSettings, QueueTicket};
use futures::Stream;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::error::AppError;
use crate::line_board::{LineView, TICK, Watcher};
use crate::queue::{FanStanding, ObservedStanding, QueueUseCases};

/// A frame is sent at least this often, so that nothing between server and fan takes the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a fan far from the front looks at the line. Nearer fans look at every tick.
const FAR_LOOK: Duration = Duration::from_secs(1);
/// A fan within this many places of the front is near, whatever the rate.
const NEAR: u64 = 1_000;

/// The standings of one fan. It ends after the one that says that the token has ended, or when the line could not be read
/// for as long as a heartbeat.
pub struct PositionStream {
    queue: QueueUseCases,
    ticket: QueueTicket,
    watcher: Watcher,
    told: Option<FanStanding>,
    told_at: Instant,
    over: bool,
}

impl PositionStream {
    pub(crate) fn new(queue: QueueUseCases, ticket: QueueTicket, watcher: Watcher) -> Self {
        Self { queue, ticket, watcher, told: None, told_at: Instant::now(), over: false }
    }

    /// The frames. Only the latest state is ever kept for a slow reader.
    pub fn frames(self) -> impl Stream<Item = Result<ObservedStanding, AppError>> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let frame = stream.next_frame().await?;
            Some((frame, stream))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ObservedStanding, AppError>> {
        if self.over {
            return None;
        }
        loop {
            let view = self.watcher.views.borrow_and_update().clone();
            if let Some(view) = &view {
                match self.news(view).await {
                    Ok(Some(standing)) => return Some(Ok(self.tell(view, standing))),
                    Ok(None) => {}
                    Err(weather) if self.told_at.elapsed() >= HEARTBEAT => {
                        self.over = true;
                        return Some(Err(weather));
                    }
                    Err(weather) => debug!(error = &weather as &dyn std::error::Error, "a standing is not known"),
                }
            }
            self.wait(view.as_deref()).await;
        }
    }

    fn tell(&mut self, view: &LineView, standing: FanStanding) -> ObservedStanding {
        self.over = matches!(standing, FanStanding::Ended(_));
        self.told = Some(standing);
        self.told_at = Instant::now();
        ObservedStanding { observed_at: view.observed_at, standing }
    }

    /// The standing, if it is worth telling. An old view is no base for a heartbeat.
    async fn news(&self, view: &Arc<LineView>) -> Result<Option<FanStanding>, AppError> {
        if view.read_at.elapsed() >= HEARTBEAT {
            return Err(Unavailable::of("the line").into());
        }
        let standing = never_backwards(self.told, self.queue.standing(&self.ticket, view).await?);
        let due = self.told_at.elapsed() >= HEARTBEAT;
        Ok((due || self.told != Some(standing)).then_some(standing))
    }

    async fn wait(&mut self, view: Option<&LineView>) {
        let heartbeat_at = self.told_at + HEARTBEAT;
        if view.is_some_and(|view| self.is_far(view)) {
            sleep(FAR_LOOK.min(heartbeat_at.saturating_duration_since(Instant::now()))).await;
        } else if !matches!(timeout_at(heartbeat_at, self.watcher.views.changed()).await, Ok(Ok(()))) {
            // The heartbeat is due, or the board is gone while shutting down; a tick's pause keeps this from spinning.
            sleep(TICK).await;
        }
    }

    /// Whether the fan cannot be called before the next far look.
    fn is_far(&self, view: &LineView) -> bool {
        let Some(LineSettings { rate, batch, .. }) = view.settings else { return false };
        let looks_per_period = (rate.period.as_millis() / FAR_LOOK.as_millis()).max(1);
        let in_two_looks = u128::from(rate.admissions) * 2 / looks_per_period;
        let near = NEAR + u64::from(batch) + u64::try_from(in_two_looks).unwrap_or(u64::MAX);
        let snapshot = view.snapshot.as_ref().filter(|snapshot| snapshot.epoch == self.ticket.epoch);
        snapshot.is_some_and(|snapshot| {
            matches!(snapshot.standing(self.ticket.number), Standing::Waiting { position } if position > near)
        })
    }
}

/// A fan who was admitted is not told of a view from before that; a position that was told never grows.
fn never_backwards(told: Option<FanStanding>, standing: FanStanding) -> FanStanding {
    match (told, standing) {
        (Some(told @ FanStanding::Admitted { .. }), FanStanding::Waiting { .. }) => told,
        (
            Some(FanStanding::Waiting { position: told, .. }),
            FanStanding::Waiting { position, people_waiting, seats_left, paused },
        ) => FanStanding::Waiting { position: position.min(told), people_waiting, seats_left, paused },
        _ => standing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encore_domain::queue::EndReason;
    use encore_domain::time::Timestamp;

    use crate::queue::Ending;

    fn waiting(position: u64, people_waiting: u64) -> FanStanding {
        FanStanding::Waiting { position, people_waiting, seats_left: 9, paused: false }
    }

    #[test]
    fn a_position_never_grows() {
        assert_eq!(never_backwards(None, waiting(7, 9)), waiting(7, 9));
        assert_eq!(never_backwards(Some(waiting(7, 9)), waiting(5, 8)), waiting(5, 8));
        assert_eq!(never_backwards(Some(waiting(5, 8)), waiting(7, 12)), waiting(5, 12));
    }

    #[test]
    fn who_was_admitted_does_not_wait_again() {
        let admitted = FanStanding::Admitted { until: Timestamp::UNIX_EPOCH };
        let ended = FanStanding::Ended(Ending::Token(EndReason::Used));
        assert_eq!(never_backwards(Some(admitted), waiting(1, 1)), admitted);
        assert_eq!(never_backwards(Some(admitted), ended), ended);
        assert_eq!(never_backwards(Some(waiting(1, 1)), admitted), admitted);
    }
}
