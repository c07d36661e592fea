//! The part of a fan's journey in the queue: joining, waiting, being admitted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::queue::v1::{EndReason, WatchPositionResponse};
use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use crate::client::Caller;
use crate::operator::now;
use crate::users::fan::{Entrance, Exit, Fan, millis};
use crate::users::progress::Progress;

/// In how many milliseconds from joining those who give up or lose their connection do so.
const INCIDENT_WITHIN_MS: u64 = 10_000;
/// How many milliseconds a lost connection takes to come back.
const AWAY_MS: std::ops::Range<u64> = 200..3_000;

/// How old a view of the queue may be when it is sent.
const VIEW_AGE_MS: u64 = 1_000;

/// What a fan who waits will do besides waiting.
struct Plans {
    give_up_at: Option<Instant>,
    lose_connection_at: Option<Instant>,
}

/// What a moment of waiting came to.
enum Turn {
    Frame(Result<Option<WatchPositionResponse>, Status>),
    GiveUp,
    LoseConnection,
}

impl Fan<'_> {
    /// Joins the queue and waits until admitted.
    pub(super) async fn enter(&mut self, arrived: Instant) -> Result<Entrance, Exit> {
        let progress = &self.users.progress;
        let _waiting = Progress::during(&progress.waiting);
        self.notes.joined_ms = Some(millis(now()));
        let mut plans = self.plans(arrived);
        let mut intended = arrived;
        loop {
            self.join(intended).await?;
            match self.wait(&mut plans).await? {
                Some(entrance) => return Ok(entrance),
                // The queue was reset: join at the end of the new one.
                None => intended = Instant::now(),
            }
        }
    }

    async fn join(&mut self, intended: Instant) -> Result<(), Exit> {
        let performance = self.users.performance.clone();
        let joining = self.retry("JoinQueue", intended, |caller: Caller| {
            let performance = performance.clone();
            async move { caller.join(&performance).await }
        });
        let joined = joining.await?;
        self.notes.number = Some(joined.join_index);
        self.caller = self.caller.clone().showing(&joined.queue_token).map_err(|_| Exit::Failed)?;
        Ok(())
    }

    /// Waits in the queue; none if the queue was reset.
    async fn wait(&mut self, plans: &mut Plans) -> Result<Option<Entrance>, Exit> {
        let mut told = Told::default();
        loop {
            let (mut frames, first) = self.open_stream().await?;
            told.begin_stream(self.users.clock_skew_ms);
            let mut next = Turn::Frame(Ok(first));
            loop {
                match next {
                    Turn::Frame(Ok(Some(frame))) => match self.read(frame, &mut told)? {
                        Reading::Waiting => {}
                        Reading::Reset => return Ok(None),
                        Reading::Admitted { until_ms } => return Ok(Some(Entrance { until_ms, frames })),
                    },
                    // The stream broke or was ended by a server that goes: take it up again elsewhere.
                    Turn::Frame(broken) => {
                        if let Err(status) = broken {
                            self.users.recorder.count::<()>("WatchPosition", Duration::ZERO, &Err(status));
                        }
                        self.pause_before(0).await?;
                        break;
                    }
                    Turn::GiveUp => return Err(self.give_up().await),
                    Turn::LoseConnection => {
                        plans.lose_connection_at = None;
                        drop(frames);
                        let away = Duration::from_millis(self.rng.random_range(AWAY_MS));
                        self.pause_until(Instant::now() + away).await?;
                        break;
                    }
                }
                next = tokio::select! {
                    frame = frames.message() => Turn::Frame(frame),
                    () = at(plans.give_up_at) => Turn::GiveUp,
                    () = at(plans.lose_connection_at) => Turn::LoseConnection,
                    () = self.users.stop.cancelled() => return Err(Exit::Stopped),
                };
            }
            self.change_connection();
        }
    }

    async fn open_stream(&mut self) -> Result<(Streaming<WatchPositionResponse>, Option<WatchPositionResponse>), Exit> {
        let opening = self.retry("WatchPosition", Instant::now(), |caller| async move {
            let mut frames = caller.watch().await?;
            let first = frames.message().await?;
            Ok((frames, first))
        });
        opening.await
    }

    fn read(&mut self, frame: WatchPositionResponse, told: &mut Told) -> Result<Reading, Exit> {
        let observed_ms = frame.observed_at.map_or(0, |at| {
            let millis = i64::from(at.nanos) / 1_000_000 + at.seconds * 1_000;
            u64::try_from(millis).unwrap_or(0)
        });
        match frame.status.and_then(|status| status.status) {
            Some(QueueStatus::Waiting(waiting)) => {
                self.notes.positions += 1;
                self.notes.waiting_ms = self.notes.waiting_ms.max(Some(observed_ms));
                self.users.progress.seats_left.store(waiting.seats_left.into(), Ordering::Relaxed);
                self.notes.grew.extend(told.position(observed_ms, waiting.position));
                if waiting.sold_out { Err(Exit::Over("sold out while waiting")) } else { Ok(Reading::Waiting) }
            }
            Some(QueueStatus::Admitted(admitted)) => {
                let until_ms = admitted.until.map_or(0, |at| u64::try_from(at.seconds * 1_000).unwrap_or(0));
                self.notes.admitted_ms = Some(millis(now()));
                self.notes.inside_until_ms = Some(until_ms);
                Ok(Reading::Admitted { until_ms })
            }
            Some(QueueStatus::Ended(ended)) if ended.reason() == EndReason::Reset => {
                self.notes.queue_was_reset = true;
                Ok(Reading::Reset)
            }
            Some(QueueStatus::Ended(ended)) => {
                // Nobody was away for long, left, or paid before being admitted.
                let ended = ended.reason();
                if ended != EndReason::SaleClosed {
                    self.notes.place_lost = Some(ended.as_str_name());
                }
                Err(Exit::Over(end_fate(ended)))
            }
            // The queues of a rehearsal have no draw.
            Some(QueueStatus::PreQueued(_)) | None => Err(Exit::Failed),
        }
    }

    fn plans(&mut self, arrived: Instant) -> Plans {
        let habits = &self.users.habits;
        let (abandon, reconnect) = (habits.abandon, habits.reconnect);
        Plans { give_up_at: self.incident(abandon, arrived), lose_connection_at: self.incident(reconnect, arrived) }
    }

    fn incident(&mut self, percent: u64, arrived: Instant) -> Option<Instant> {
        let happens = self.rolls(percent);
        let after = Duration::from_millis(self.rng.random_range(0..INCIDENT_WITHIN_MS));
        happens.then(|| arrived + after)
    }

    /// Half of those who give up say so.
    async fn give_up(&mut self) -> Exit {
        if self.rng.random_bool(0.5) {
            self.leave().await;
            Exit::Over("left the queue")
        } else {
            Exit::Over("vanished from the queue")
        }
    }
}

/// The last position that a fan was sent.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// When the server saw it, and the position.
    last: Option<(u64, u64)>,
    /// How much later another position must have been seen to count: nothing within a stream.
    tolerance_ms: u64,
}

impl Told {
    /// Another stream, perhaps of another instance, may begin with a slightly older view of the queue.
    pub(super) fn begin_stream(&mut self, clock_skew_ms: u64) {
        self.tolerance_ms = VIEW_AGE_MS + clock_skew_ms;
    }

    /// Notes a position. Answers the one before and this one, if it grew.
    pub(super) fn position(&mut self, observed_ms: u64, position: u64) -> Option<(u64, u64)> {
        let before = self.last.replace((observed_ms, position));
        let tolerance_ms = std::mem::take(&mut self.tolerance_ms);
        let (seen_ms, before) = before?;
        let is_later = tolerance_ms == 0 || observed_ms > seen_ms + tolerance_ms;
        (is_later && position > before).then_some((before, position))
    }
}

/// What a frame says.
enum Reading {
    Waiting,
    Reset,
    Admitted { until_ms: u64 },
}

fn end_fate(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Abandoned => "lost the place while away",
        EndReason::Expired => "token expired",
        EndReason::SaleClosed => "sale closed",
        EndReason::SeatLimitReached => "bought all that one fan may",
        EndReason::Used | EndReason::Left | EndReason::Replaced | EndReason::Reset | EndReason::Unspecified => {
            "token ended"
        }
    }
}

/// Waits for a moment that may never come.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_grows_within_a_stream_or_not_at_all() {
        let mut told = Told::default();
        told.begin_stream(0);
        assert_eq!(told.position(1_000, 7), None);
        assert_eq!(told.position(1_000, 7), None);
        assert_eq!(told.position(1_100, 9), Some((7, 9)));
        assert_eq!(told.position(1_200, 4), None);
    }

    #[test]
    fn another_stream_may_begin_with_an_older_view_but_not_with_a_later_one() {
        let again = |observed_ms, skew_ms| {
            let mut told = Told::default();
            told.begin_stream(skew_ms);
            told.position(5_000, 7);
            told.begin_stream(skew_ms);
            told.position(observed_ms, 9)
        };
        assert_eq!(again(5_900, 0), None);
        assert_eq!(again(6_001, 0), Some((7, 9)));
        assert_eq!(again(6_001, 5_000), None);
        assert_eq!(again(11_001, 5_000), Some((7, 9)));
    }
}
