//! How a queue admits, as operators set it.

use std::time::Duration;

use thiserror::Error;

use crate::queue::{DrawKey, Lanes};
use crate::time::Timestamp;

/// The most fans that may be inside at once, and the most that may be admitted at once.
pub const MAX_ACTIVE_LIMIT: u32 = 100_000;
/// The longest period that a rate may be given over.
pub const RATE_PERIOD_MAX: Duration = Duration::from_hours(1);
/// The shortest period that a rate may be given over: one tick.
pub const RATE_PERIOD_MIN: Duration = Duration::from_millis(100);
/// The shortest accept window, admission or grace: a phone needs as much to come back.
pub const DEADLINE_MIN: Duration = Duration::from_secs(5);
/// The longest accept window, admission or grace.
pub const DEADLINE_MAX: Duration = Duration::from_hours(2);
/// The most holds that an active token may be limited to.
pub const HOLD_TRIES_MAX: u32 = 10_000;
/// The longest message to those waiting, in characters: it is in every frame.
pub const MESSAGE_MAX_CHARS: usize = 280;

/// How many fans are admitted in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRate {
    /// 1 to [`MAX_ACTIVE_LIMIT`].
    pub admissions: u32,
    /// [`RATE_PERIOD_MIN`] to [`RATE_PERIOD_MAX`], in whole milliseconds.
    pub period: Duration,
}

/// What operators say to those waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage(String);

impl QueueMessage {
    /// Reads a message; spaces around it are dropped, and an empty one is none.
    pub fn parse(text: &str) -> Result<Option<Self>, NotAQueueSetting> {
        let text = text.trim();
        if text.chars().count() > MESSAGE_MAX_CHARS || text.chars().any(char::is_control) {
            return Err(NotAQueueSetting::Message);
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The message.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a queue admits. Operators change it during a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The long-run rate of admissions.
    pub rate: QueueRate,
    /// The most fans admitted at once after a quiet time: in any time `t` at most `batch + rate · t` are admitted.
    pub batch: u32,
    /// The most fans inside at once: active, or called and not yet come.
    pub max_active: u32,
    /// While paused nobody is called.
    pub paused: bool,
    /// While draining nobody new may join. Those who wait are called as ever.
    pub draining: bool,
    /// How long a called fan has to come.
    pub accept_window: Duration,
    /// How long an active token is good.
    pub active_duration: Duration,
    /// How long a fan may be away without losing the place.
    pub grace: Duration,
    /// How many holds an active token may try; none: any number.
    pub hold_tries: Option<u32>,
    /// What those waiting are told.
    pub message: Option<QueueMessage>,
    /// The priority classes.
    pub lanes: Lanes,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            rate: QueueRate { admissions: 200, period: Duration::from_secs(10) },
            batch: 200,
            max_active: 500,
            paused: false,
            draining: false,
            accept_window: Duration::from_secs(30),
            active_duration: Duration::from_mins(10),
            grace: Duration::from_mins(2),
            hold_tries: None,
            message: None,
            lanes: Lanes::default(),
        }
    }
}

/// The draw of a queue that collects joiners before it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDraw {
    /// From when on fans may join; the sale opens later.
    pub pre_queue_opens_at: Timestamp,
    /// Secret until the numbers are drawn.
    pub key: DrawKey,
}

/// A queue as it is kept: what operators change, and what never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Changes during a sale.
    pub settings: QueueSettings,
    /// How places are given to those who join before the opening; none if nobody may.
    pub draw: Option<QueueDraw>,
}

/// What an operator changes about a queue; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePatch {
    /// See [`QueueSettings::rate`].
    pub rate: Option<QueueRate>,
    /// See [`QueueSettings::batch`].
    pub batch: Option<u32>,
    /// See [`QueueSettings::max_active`].
    pub max_active: Option<u32>,
    /// See [`QueueSettings::paused`].
    pub paused: Option<bool>,
    /// See [`QueueSettings::draining`].
    pub draining: Option<bool>,
    /// See [`QueueSettings::accept_window`].
    pub accept_window: Option<Duration>,
    /// See [`QueueSettings::active_duration`]. It is for those who come from now on.
    pub active_duration: Option<Duration>,
    /// See [`QueueSettings::grace`].
    pub grace: Option<Duration>,
    /// See [`QueueSettings::hold_tries`].
    pub hold_tries: Option<Option<u32>>,
    /// See [`QueueSettings::message`].
    pub message: Option<Option<QueueMessage>>,
    /// See [`QueueSettings::lanes`]. Only their weights can change.
    pub lanes: Option<Lanes>,
}

/// The number is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAQueueSetting {
    /// A rate, batch or maximum.
    #[error("must be 1 to {MAX_ACTIVE_LIMIT}")]
    Count,
    /// The period of a rate.
    #[error("must be 100 milliseconds to 1 hour")]
    Period,
    /// A accept window, admission or grace.
    #[error("must be 5 seconds to 2 hours")]
    Deadline,
    /// A limit of holds.
    #[error("must be 0, which is no limit, to {HOLD_TRIES_MAX}")]
    HoldTries,
    /// A message.
    #[error("must be at most {MESSAGE_MAX_CHARS} characters without control characters")]
    Message,
}

/// Checks a rate, batch or maximum.
pub fn check_queue_count(count: u32) -> Result<u32, NotAQueueSetting> {
    if (1..=MAX_ACTIVE_LIMIT).contains(&count) { Ok(count) } else { Err(NotAQueueSetting::Count) }
}

/// Checks the period of a rate; parts of a millisecond are dropped.
pub fn check_rate_period(period: Duration) -> Result<Duration, NotAQueueSetting> {
    let fits = (RATE_PERIOD_MIN..=RATE_PERIOD_MAX).contains(&period);
    if fits { Ok(whole_millis(period)) } else { Err(NotAQueueSetting::Period) }
}

/// Checks a accept window, admission or grace; parts of a millisecond are dropped.
pub fn check_deadline(deadline: Duration) -> Result<Duration, NotAQueueSetting> {
    let fits = (DEADLINE_MIN..=DEADLINE_MAX).contains(&deadline);
    if fits { Ok(whole_millis(deadline)) } else { Err(NotAQueueSetting::Deadline) }
}

/// Reads how many holds an active token may try: 0 is any number.
pub fn check_hold_tries(tries: u32) -> Result<Option<u32>, NotAQueueSetting> {
    if tries > HOLD_TRIES_MAX { Err(NotAQueueSetting::HoldTries) } else { Ok((tries > 0).then_some(tries)) }
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000)
}

/// Why the settings of a queue were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatchRefusal {
    /// The queue has no settings.
    #[error(transparent)]
    NoQueue(#[from] NoQueue),
    /// The lanes of the patch are other lanes.
    #[error("the lanes of a queue keep their names and their order")]
    LanesMoved,
}

/// The queue has no settings: the performance has no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the performance has no queue")]
pub struct NoQueue;

impl QueueSettings {
    /// The settings with the patch applied.
    pub fn patched(self, patch: &QueuePatch) -> Result<Self, PatchRefusal> {
        if patch.lanes.as_ref().is_some_and(|lanes| !lanes.named_as(&self.lanes)) {
            return Err(PatchRefusal::LanesMoved);
        }
        Ok(self.set_to(patch))
    }

    /// The settings of a new queue: those of the patch, lanes included, and these for the rest.
    pub fn set_to(self, patch: &QueuePatch) -> Self {
        Self {
            rate: patch.rate.unwrap_or(self.rate),
            batch: patch.batch.unwrap_or(self.batch),
            max_active: patch.max_active.unwrap_or(self.max_active),
            paused: patch.paused.unwrap_or(self.paused),
            draining: patch.draining.unwrap_or(self.draining),
            accept_window: patch.accept_window.unwrap_or(self.accept_window),
            active_duration: patch.active_duration.unwrap_or(self.active_duration),
            grace: patch.grace.unwrap_or(self.grace),
            hold_tries: patch.hold_tries.unwrap_or(self.hold_tries),
            message: patch.message.clone().unwrap_or(self.message),
            lanes: patch.lanes.clone().unwrap_or(self.lanes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Lane, LaneName};

    fn lanes(names: &[(&str, u32)]) -> Lanes {
        let lane = |(name, weight): &(&str, u32)| {
            Lane::new(LaneName::parse(name).expect("a name"), *weight).expect("a weight")
        };
        Lanes::new(names.iter().map(lane).collect()).expect("lanes")
    }

    #[test]
    fn a_patch_changes_what_it_says() {
        let message = QueueMessage::parse(" Doors at eight ").expect("a message");
        let patch = QueuePatch { max_active: Some(7), message: Some(message.clone()), ..QueuePatch::default() };
        let patched = QueueSettings::default().patched(&patch).expect("it has the lanes it had");
        assert_eq!(patched, QueueSettings { max_active: 7, message, ..QueueSettings::default() });
        let silent = QueuePatch { message: Some(None), hold_tries: Some(Some(3)), ..QueuePatch::default() };
        let patched = patched.patched(&silent).expect("it has the lanes it had");
        assert_eq!(patched, QueueSettings { max_active: 7, hold_tries: Some(3), ..QueueSettings::default() });
    }

    #[test]
    fn a_patch_changes_weights_and_moves_no_lane() {
        let settings = QueueSettings { lanes: lanes(&[("general", 1), ("club", 3)]), ..QueueSettings::default() };
        let patch = |names| QueuePatch { lanes: Some(lanes(names)), ..QueuePatch::default() };
        let heavier = settings.clone().patched(&patch(&[("general", 1), ("club", 9)])).expect("the same lanes");
        assert_eq!(heavier.lanes.weights(), [1, 9]);
        for others in [&[("club", 3), ("general", 1)][..], &[("general", 1)], &[("general", 1), ("press", 3)]] {
            assert_eq!(settings.clone().patched(&patch(others)), Err(PatchRefusal::LanesMoved));
        }
    }

    #[test]
    fn bounds_are_said() {
        assert_eq!(check_queue_count(0), Err(NotAQueueSetting::Count));
        assert_eq!(check_deadline(Duration::from_secs(4)), Err(NotAQueueSetting::Deadline));
        assert_eq!(check_deadline(Duration::from_micros(5_000_999)), Ok(Duration::from_secs(5)));
        assert_eq!(check_hold_tries(0), Ok(None));
        assert_eq!(check_hold_tries(HOLD_TRIES_MAX + 1), Err(NotAQueueSetting::HoldTries));
        assert_eq!(QueueMessage::parse("  "), Ok(None));
        assert_eq!(QueueMessage::parse("a\u{7}"), Err(NotAQueueSetting::Message));
        assert_eq!(QueueMessage::parse(&"x".repeat(MESSAGE_MAX_CHARS + 1)), Err(NotAQueueSetting::Message));
    }
}
