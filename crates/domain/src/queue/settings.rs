//! The settings of a queue, which operators change.

use std::time::Duration;

use thiserror::Error;

use crate::queue::{DrawKey, Lanes};
use crate::text::normalized;
use crate::time::Timestamp;

/// The highest maximum of fans inside, and the largest batch.
pub const MAX_ACTIVE_LIMIT: u32 = 100_000;
/// The longest period of a rate.
pub const RATE_PERIOD_MAX: Duration = Duration::from_hours(1);
/// The shortest period of a rate: one tick of the admission loop.
pub const RATE_PERIOD_MIN: Duration = Duration::from_millis(100);
/// The shortest accept window, active duration or grace. A phone needs this long to reconnect.
pub const DEADLINE_MIN: Duration = Duration::from_secs(5);
/// The longest accept window, active duration or grace.
pub const DEADLINE_MAX: Duration = Duration::from_hours(2);
/// The most holds that an active token may be limited to.
pub const HOLD_TRIES_MAX: u32 = 10_000;
/// The longest message to waiting fans, in characters. It is part of every frame.
pub const MESSAGE_MAX_CHARS: usize = 280;

/// A rate of admissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRate {
    /// 1 to [`MAX_ACTIVE_LIMIT`].
    pub admissions: u32,
    /// [`RATE_PERIOD_MIN`] to [`RATE_PERIOD_MAX`], in whole milliseconds.
    pub period: Duration,
}

/// A message of the operators to waiting fans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage(String);

impl QueueMessage {
    /// Parses a message, [`normalized`]. An empty text is no message.
    pub fn parse(text: &str) -> Result<Option<Self>, NotAQueueSetting> {
        let text = normalized(text).filter(|text| text.chars().count() <= MESSAGE_MAX_CHARS);
        let text = text.ok_or(NotAQueueSetting::Message)?;
        Ok((!text.is_empty()).then(|| Self(text.into_owned())))
    }

    /// The message.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The settings of a queue. Operators change them during a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The long-run rate of admissions.
    pub rate: QueueRate,
    /// How many fans may be admitted at once beyond the rate: in any time `t`, at most `batch + rate · (t + 1 s)` fans are
    /// admitted. It does not lower the rate.
    pub batch: u32,
    /// The most fans inside: active, or called and not accepted yet. See [`default_max_active`].
    pub max_active: u32,
    /// While it is paused, nobody is called.
    pub paused: bool,
    /// While it is draining, nobody new may join. Waiting fans are still called.
    pub draining: bool,
    /// How long a called fan may take to accept.
    pub accept_window: Duration,
    /// How long a token is active.
    pub active_duration: Duration,
    /// How long a waiting fan may be absent.
    pub grace: Duration,
    /// How many holds an active token may try; none means any number.
    pub hold_tries: Option<u32>,
    /// The message to waiting fans.
    pub message: Option<QueueMessage>,
    /// The priority classes.
    pub lanes: Lanes,
}

/// The maximum of a queue whose operators set none: as many fans as are inside if each stays for a whole session and the rate is
/// reached (Little's law, 1961: the number inside is the rate times the time inside). A smaller maximum lowers the rate while fans
/// use their whole session. It is at least a batch, which may be admitted at once.
pub fn default_max_active(rate: QueueRate, batch: u32, active_duration: Duration) -> u32 {
    let inside = u128::from(rate.admissions) * active_duration.as_millis();
    let inside = inside.div_ceil(rate.period.as_millis().max(1));
    u32::try_from(inside).unwrap_or(u32::MAX).max(batch).clamp(1, MAX_ACTIVE_LIMIT)
}

impl Default for QueueSettings {
    fn default() -> Self {
        let rate = QueueRate { admissions: 200, period: Duration::from_secs(10) };
        let (batch, active_duration) = (200, Duration::from_mins(10));
        Self {
            rate,
            batch,
            max_active: default_max_active(rate, batch, active_duration),
            paused: false,
            draining: false,
            accept_window: Duration::from_secs(30),
            active_duration,
            grace: Duration::from_mins(2),
            hold_tries: None,
            message: None,
            lanes: Lanes::default(),
        }
    }
}

/// The draw of a queue with a pre-queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDraw {
    /// When fans may join first. The sale opens later.
    pub pre_queue_opens_at: Timestamp,
    /// It is secret until the numbers are drawn.
    pub key: DrawKey,
}

/// A queue: its settings, which operators change, and its draw, which never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Changes during a sale.
    pub settings: QueueSettings,
    /// The draw; none if nobody may join before the opening.
    pub draw: Option<QueueDraw>,
}

/// Changes of the settings of a queue. Fields that are not set keep their values.
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
    /// See [`QueueSettings::active_duration`]. It applies to calls that are accepted from now on.
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

/// A value cannot be a setting of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAQueueSetting {
    /// A rate, batch or maximum.
    #[error("must be 1 to {MAX_ACTIVE_LIMIT}")]
    Count,
    /// The period of a rate.
    #[error("must be 100 milliseconds to 1 hour")]
    Period,
    /// An accept window, active duration or grace.
    #[error("must be 5 seconds to 2 hours")]
    Deadline,
    /// A limit of holds.
    #[error("must be 0 (no limit) to {HOLD_TRIES_MAX}")]
    HoldTries,
    /// A message.
    #[error("must be at most {MESSAGE_MAX_CHARS} characters without control, invisible or unassigned characters")]
    Message,
}

/// Checks a rate, batch or maximum.
pub fn check_queue_count(count: u32) -> Result<u32, NotAQueueSetting> {
    if (1..=MAX_ACTIVE_LIMIT).contains(&count) { Ok(count) } else { Err(NotAQueueSetting::Count) }
}

/// Checks the period of a rate. Fractions of a millisecond are dropped.
pub fn check_rate_period(period: Duration) -> Result<Duration, NotAQueueSetting> {
    let fits = (RATE_PERIOD_MIN..=RATE_PERIOD_MAX).contains(&period);
    if fits { Ok(whole_millis(period)) } else { Err(NotAQueueSetting::Period) }
}

/// Checks an accept window, active duration or grace. Fractions of a millisecond are dropped.
pub fn check_deadline(deadline: Duration) -> Result<Duration, NotAQueueSetting> {
    let fits = (DEADLINE_MIN..=DEADLINE_MAX).contains(&deadline);
    if fits { Ok(whole_millis(deadline)) } else { Err(NotAQueueSetting::Deadline) }
}

/// Checks how many holds an active token may try; 0 means any number.
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
    /// The patch has other lanes than the queue.
    #[error("the names and the order of the lanes cannot be changed")]
    LanesMoved,
}

/// The performance has no queue.
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

    /// Whether the maximum is the default for the rate, the batch and the session.
    pub fn has_default_max_active(&self) -> bool {
        self.max_active == default_max_active(self.rate, self.batch, self.active_duration)
    }

    /// The settings of a new queue: those of the patch, including the lanes, and these for the rest. A default maximum follows the
    /// rate, the batch and the session.
    pub fn set_to(self, patch: &QueuePatch) -> Self {
        let rate = patch.rate.unwrap_or(self.rate);
        let batch = patch.batch.unwrap_or(self.batch);
        let active_duration = patch.active_duration.unwrap_or(self.active_duration);
        let default = default_max_active(rate, batch, active_duration);
        let max_active = if self.has_default_max_active() { default } else { self.max_active };
        Self {
            rate,
            batch,
            max_active: patch.max_active.unwrap_or(max_active),
            paused: patch.paused.unwrap_or(self.paused),
            draining: patch.draining.unwrap_or(self.draining),
            accept_window: patch.accept_window.unwrap_or(self.accept_window),
            active_duration,
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
    fn a_default_maximum_follows_the_rate_and_the_session() {
        let settings = QueueSettings::default();
        assert_eq!(settings.max_active, 12_000, "20 a second for 10 minutes");
        let rate = Some(QueueRate { admissions: 7, period: Duration::from_secs(2) });
        let slow = settings.set_to(&QueuePatch { rate, ..QueuePatch::default() });
        assert_eq!(slow.max_active, 2_100);
        let active_duration = Some(Duration::from_secs(5));
        let brief = QueuePatch { active_duration, batch: Some(3), ..QueuePatch::default() };
        assert_eq!(slow.clone().set_to(&brief).max_active, 18, "rounded up");
        let bursts = QueuePatch { batch: Some(30), ..brief.clone() };
        assert_eq!(slow.clone().set_to(&bursts).max_active, 30, "a batch may be inside");
        let chosen = slow.set_to(&QueuePatch { max_active: Some(3), ..QueuePatch::default() });
        assert_eq!(chosen.set_to(&brief).max_active, 3, "what an operator set stays");
        let fastest = QueueRate { admissions: MAX_ACTIVE_LIMIT, period: RATE_PERIOD_MIN };
        assert_eq!(default_max_active(fastest, 1, DEADLINE_MAX), MAX_ACTIVE_LIMIT);
        let slowest = QueueRate { admissions: 1, period: RATE_PERIOD_MAX };
        assert_eq!(default_max_active(slowest, 1, DEADLINE_MIN), 1);
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
