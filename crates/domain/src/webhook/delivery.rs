//! Deliveries: events that were sent to an endpoint, and when they are sent again.

use std::time::Duration;

use uuid::Uuid;

use crate::event::{OutboxPlace, OutboxRecord};
use crate::ids::EndpointId;
use crate::time::Timestamp;

/// How long a delivery is tried again after its first try.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(72);
/// The pause after the first try. Each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: so soon an endpoint that is back is sent what it missed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Pauses are longer by up to this part of them, so that what failed together does not come together again.
const JITTER: f64 = 0.25;
/// The longest reason of a failure that is kept, in characters.
pub const ANSWER_MAX_CHARS: usize = 200;

/// Which event a delivery sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredEvent {
    /// See [`Event::id`](crate::event::Event::id).
    pub id: String,
    /// See [`Event::kind`](crate::event::Event::kind).
    pub kind: String,
    /// See [`Event::key`](crate::event::Event::key).
    pub key: Uuid,
    /// Where it is in the outbox.
    pub place: OutboxPlace,
}

impl From<&OutboxRecord> for DeliveredEvent {
    fn from(record: &OutboxRecord) -> Self {
        Self { id: record.id.clone(), kind: record.kind.clone(), key: record.key, place: record.place }
    }
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// A status of HTTP.
    Status(u16),
    /// Nothing, for this reason of at most [`ANSWER_MAX_CHARS`] characters.
    None(String),
}

impl WebhookAnswer {
    /// No answer, for a reason that is shortened.
    pub fn none(reason: &str) -> Self {
        Self::None(reason.chars().filter(|it| !it.is_control()).take(ANSWER_MAX_CHARS).collect())
    }

    /// Whether the endpoint has taken the event.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// Whether the endpoint wants no events any more: 410 Gone.
    pub fn is_gone(&self) -> bool {
        *self == Self::Status(410)
    }
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The endpoint has taken the event.
    Delivered,
    /// It is tried again.
    Waiting {
        /// When.
        next_try_at: Timestamp,
    },
    /// It failed for [`GIVE_UP_AFTER`], and is tried no more unless an operator wants it.
    GivenUp,
}

/// The delivery of an event to an endpoint, after its first try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The event.
    pub event: DeliveredEvent,
    /// How often it was tried since `began_at`.
    pub tries: u32,
    /// When it was tried first, or when an operator wanted it to be sent again.
    pub began_at: Timestamp,
    /// When it was tried last.
    pub tried_at: Timestamp,
    /// What the endpoint answered last.
    pub answer: WebhookAnswer,
    /// What becomes of it.
    pub state: DeliveryState,
}

/// The delivery of an event after a try. `before` is the delivery after the tries before; none if it was the first, or if the event is sent
/// once more after it was delivered. `random` is any number.
pub fn after_try(
    before: Option<&WebhookDelivery>,
    endpoint: EndpointId,
    event: DeliveredEvent,
    answer: WebhookAnswer,
    now: Timestamp,
    random: u32,
) -> WebhookDelivery {
    let before = before.filter(|before| matches!(before.state, DeliveryState::Waiting { .. }));
    let tries = before.map_or(0, |before| before.tries).saturating_add(1);
    let began_at = before.map_or(now, |before| before.began_at);
    let last_try_at = began_at + GIVE_UP_AFTER;
    let state = if answer.is_success() {
        DeliveryState::Delivered
    } else if now >= last_try_at {
        DeliveryState::GivenUp
    } else {
        DeliveryState::Waiting { next_try_at: (now + pause(tries, random)).min(last_try_at) }
    };
    WebhookDelivery { endpoint, event, tries, began_at, tried_at: now, answer, state }
}

/// The pause after so many tries.
fn pause(tries: u32, random: u32) -> Duration {
    let factor = 4_u32.saturating_pow(tries.saturating_sub(1));
    let pause = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    let longer = pause.mul_f64(JITTER * f64::from(random) / f64::from(u32::MAX));
    // Times are whole milliseconds.
    Duration::from_millis(u64::try_from((pause + longer).as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> DeliveredEvent {
        let place = OutboxPlace { window: 1, sequence: 2 };
        DeliveredEvent { id: "kind/1".into(), kind: "kind".into(), key: Uuid::max(), place }
    }

    fn tried(before: Option<&WebhookDelivery>, status: u16, now: Timestamp) -> WebhookDelivery {
        after_try(before, EndpointId(Uuid::nil()), event(), WebhookAnswer::Status(status), now, 0)
    }

    #[test]
    fn it_is_tried_again_for_three_days_ever_less_often() {
        let start = Timestamp::UNIX_EPOCH;
        let mut delivery = tried(None, 500, start);
        let mut pauses = Vec::new();
        while let DeliveryState::Waiting { next_try_at } = delivery.state {
            pauses.push((next_try_at - delivery.tried_at).num_seconds());
            delivery = tried(Some(&delivery), 503, next_try_at);
        }
        assert_eq!(pauses[..7], [5, 20, 80, 320, 1_280, 3_600, 3_600]);
        assert_eq!(delivery.state, DeliveryState::GivenUp);
        assert_eq!(delivery.tried_at, start + GIVE_UP_AFTER);
        assert_eq!((delivery.began_at, delivery.tries as usize), (start, pauses.len() + 1));
    }

    #[test]
    fn pauses_differ_by_chance_and_not_by_much() {
        assert_eq!(pause(1, 0), Duration::from_secs(5));
        assert_eq!(pause(1, u32::MAX), Duration::from_millis(6_250));
        assert_eq!(pause(u32::MAX, u32::MAX), Duration::from_mins(75));
    }

    #[test]
    fn a_success_ends_it_and_another_sending_begins_anew() {
        let start = Timestamp::UNIX_EPOCH;
        let failed = tried(None, 302, start);
        let delivered = tried(Some(&failed), 204, start + Duration::from_secs(5));
        assert_eq!((delivered.state, delivered.tries), (DeliveryState::Delivered, 2));
        let later = start + GIVE_UP_AFTER * 2;
        let again = tried(Some(&delivered), 500, later);
        assert_eq!((again.began_at, again.tries), (later, 1));
    }

    #[test]
    fn only_success_is_success_and_reasons_are_short() {
        let of = |status| WebhookAnswer::Status(status).is_success();
        assert_eq!([199, 200, 204, 299, 300, 410, 500].map(of), [false, true, true, true, false, false, false]);
        assert!(WebhookAnswer::Status(410).is_gone() && !WebhookAnswer::Status(404).is_gone());
        let WebhookAnswer::None(reason) = WebhookAnswer::none(&"a\n\0b".repeat(200)) else { panic!("no answer") };
        assert_eq!(reason, "ab".repeat(ANSWER_MAX_CHARS / 2));
    }
}
