//! Webhooks: events that are sent to endpoints outside.

mod address;
mod delivery;

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use url::{Host, Url};
use uuid::Uuid;

pub use self::address::is_public;
pub use self::delivery::{
    ANSWER_MAX_CHARS, DeliveredEvent, DeliveryState, GIVE_UP_AFTER, WebhookAnswer, WebhookDelivery, after_try,
};
use crate::event::OutboxPlace;
use crate::identity::session::Secret;
use crate::ids::{EndpointId, PerformanceId, UserId};
use crate::time::Timestamp;

/// The most endpoints. Each reads the outbox for itself.
pub const ENDPOINTS_MAX: u32 = 100;
/// The most kinds of events that an endpoint names.
pub const ENDPOINT_KINDS_MAX: usize = 32;
/// The most performances that an endpoint names.
pub const ENDPOINT_PERFORMANCES_MAX: usize = 100;
/// The longest URL, in bytes.
pub const ENDPOINT_URL_MAX_LEN: usize = 2_000;
/// How long the secret before a rotation is live beside the new one: as long as a receiver needs to be deployed.
pub const ROTATION_OVERLAP: Duration = Duration::from_hours(24);
/// How far back events are sent again.
pub const REPLAY_MAX: Duration = Duration::from_hours(24 * 30);
/// For how long deliveries are kept after their last try.
pub const DELIVERIES_KEPT: Duration = Duration::from_hours(24 * 30);

/// The most deliveries of an endpoint that wait for another try before it is sent nothing new.
pub const DELIVERIES_WAITING_MAX: u32 = 1_000;

/// Where events are sent: an absolute URL with the scheme `https` or `http`.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// The text cannot be the URL of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be an absolute https URL of at most {ENDPOINT_URL_MAX_LEN} bytes with a host, and without user, password and fragment"
)]
pub struct NotAnEndpointUrl;

impl EndpointUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, NotAnEndpointUrl> {
        let url = Url::parse(text).map_err(|_| NotAnEndpointUrl)?;
        let fits = text.len() <= ENDPOINT_URL_MAX_LEN && url.as_str().len() <= ENDPOINT_URL_MAX_LEN;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_http = matches!(url.scheme(), "https" | "http") && url.host().is_some();
        if fits && is_plain && is_http { Ok(Self(url)) } else { Err(NotAnEndpointUrl) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its scheme, host and port. The rest may have a secret of the receiver.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether what is sent there can neither be read nor changed on its way.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it names no address, or one of the public internet. A name says nothing: where it leads is checked when it is used.
    pub fn may_be_public(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            Some(Host::Domain(_)) | None => true,
        }
    }
}

/// Prints the origin alone: a path may have a secret of the receiver.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointUrl").field(&self.origin()).finish()
    }
}

/// Which events an endpoint is sent. Both choices narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFilter {
    /// Kinds of events; empty for all. At most [`ENDPOINT_KINDS_MAX`].
    pub kinds: Vec<String>,
    /// Performances; empty for all, and for events of users. At most [`ENDPOINT_PERFORMANCES_MAX`].
    pub performances: Vec<PerformanceId>,
}

impl WebhookFilter {
    /// Whether it lets an event through. The key of an event of a performance is the performance.
    pub fn takes(&self, kind: &str, key: Uuid) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|it| it == kind))
            && (self.performances.is_empty() || self.performances.contains(&PerformanceId(key)))
    }
}

/// A secret as it is stored: unreadable without the keys of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// A secret with which what is sent to an endpoint is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecret {
    /// Which one it is. The first secret of an endpoint has the endpoint's id.
    pub id: Uuid,
    /// The secret.
    pub sealed: SealedSecret,
}

/// The secrets of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecrets {
    /// The one that was made last.
    pub current: EndpointSecret,
    /// The one before, and when it ends.
    pub previous: Option<(EndpointSecret, Timestamp)>,
}

impl EndpointSecrets {
    /// The secrets that sign at a moment, the newest first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &EndpointSecret> {
        let previous = self.previous.as_ref().filter(|(_, ends_at)| now < *ends_at);
        std::iter::once(&self.current).chain(previous.map(|(secret, _)| secret))
    }

    /// The secret with this id, if it signs at this moment.
    pub fn find(&self, id: Uuid, now: Timestamp) -> Option<&EndpointSecret> {
        self.live(now).find(|secret| secret.id == id)
    }

    /// The secrets after a rotation. At most two are live: one that was rotated before ends now.
    pub fn rotated(&self, new: EndpointSecret, now: Timestamp) -> Self {
        Self { previous: Some((self.current.clone(), now + ROTATION_OVERLAP)), current: new }
    }
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyDisabled {
    /// It answered 410 Gone.
    Gone,
    /// It took nothing for [`GIVE_UP_AFTER`].
    Failing,
}

impl WhyDisabled {
    /// Its name, as it is stored and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The reason of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Gone, Self::Failing].into_iter().find(|why| why.as_str() == name)
    }
}

/// An endpoint is sent nothing, since when and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub why: WhyDisabled,
}

/// An endpoint outside that is sent events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    pub url: EndpointUrl,
    /// Which events it is sent.
    pub filter: WebhookFilter,
    /// What is signed with.
    pub secrets: EndpointSecrets,
    /// The operator who made it.
    pub made_by: UserId,
    /// When.
    pub made_at: Timestamp,
    /// Set if it is sent nothing.
    pub disabled: Option<Disabled>,
    /// Since when it has taken nothing, though it was sent something. None if the last try succeeded.
    pub failing_since: Option<Timestamp>,
}

/// Events that are sent to an endpoint once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Which replay it is.
    pub id: Uuid,
    /// Only events since this moment.
    pub since: Timestamp,
    /// Everything up to here was sent.
    pub cursor: OutboxPlace,
    /// Nothing after this place.
    pub until: OutboxPlace,
}

/// An endpoint that an instance sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEndpoint {
    /// The endpoint.
    pub endpoint: WebhookEndpoint,
    /// Everything up to here was tried.
    pub cursor: OutboxPlace,
    /// What is sent once more.
    pub replay: Option<Replay>,
    /// How many deliveries wait for another try, counted up to [`DELIVERIES_WAITING_MAX`].
    pub waiting: u64,
    /// When the first of them is due.
    pub due_at: Option<Timestamp>,
}

/// What was done for an endpoint, recorded in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookProgress {
    /// The deliveries that were made: each event once.
    pub deliveries: Vec<WebhookDelivery>,
    /// The new cursor; none if it stays.
    pub cursor: Option<OutboxPlace>,
    /// The replay by its id, and its new cursor; none there if it is over.
    pub replay: Option<(Uuid, Option<OutboxPlace>)>,
    /// See [`WebhookEndpoint::failing_since`].
    pub failing_since: Option<Timestamp>,
    /// Set if the endpoint is to be disabled.
    pub disabled: Option<Disabled>,
}

/// The endpoints at one moment, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookSummary {
    /// Those that took the last thing that they were sent.
    pub healthy: u64,
    /// Those that did not.
    pub failing: u64,
    /// Those that are sent nothing.
    pub disabled: u64,
    /// Deliveries to endpoints that are not disabled and wait for another try.
    pub waiting: u64,
    /// The earliest cursor of those that are not disabled.
    pub cursor: Option<OutboxPlace>,
}

/// What an endpoint is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where.
    pub url: EndpointUrl,
    /// The id of the event.
    pub id: String,
    /// When it is sent.
    pub at: Timestamp,
    /// What it is signed with: one signature each.
    pub secrets: Vec<Secret>,
    /// The JSON of the event.
    pub body: String,
}

impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRequest").field("url", &self.url).field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_absolute_and_names_a_host_and_nobody() {
        for text in ["https://hooks.example.com/encore?key=1", "http://localhost:8080", "https://[2001:db8::1]/"] {
            assert!(EndpointUrl::parse(text).is_ok(), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(ENDPOINT_URL_MAX_LEN));
        let not = ["", "/hooks", "ftp://example.com/", "https://", "https://user@example.com/", "file:///etc/passwd"];
        for text in not.into_iter().chain(["https://u:p@example.com/", "https://example.com/#a", "data:,x", &long]) {
            assert_eq!(EndpointUrl::parse(text), Err(NotAnEndpointUrl), "{text}");
        }
    }

    #[test]
    fn an_address_is_known_in_any_spelling() {
        let may = |text: &str| EndpointUrl::parse(text).expect("a URL").may_be_public();
        for text in ["https://127.0.0.1/", "https://0x7f.1/", "https://2130706433/", "https://[::ffff:10.0.0.1]/"] {
            assert!(!may(text), "{text}");
        }
        assert!(may("https://localhost/") && may("https://93.184.215.14/"), "names are looked up when they are used");
    }

    #[test]
    fn a_url_prints_without_its_path() {
        let url = EndpointUrl::parse("https://example.com/token/s3cr3t?key=s3cr3t").expect("a URL");
        assert_eq!(format!("{url:?}"), r#"EndpointUrl("https://example.com")"#);
    }

    #[test]
    fn a_filter_takes_what_both_choices_take() {
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let filter = WebhookFilter { kinds: vec!["a".into()], performances: vec![PerformanceId(one)] };
        let takes = [("a", one), ("a", two), ("b", one)].map(|(kind, key)| filter.takes(kind, key));
        assert_eq!(takes, [true, false, false]);
        assert!(WebhookFilter::default().takes("b", two));
    }

    #[test]
    fn at_most_two_secrets_are_live() {
        let secret = |n| EndpointSecret { id: Uuid::from_u128(n), sealed: SealedSecret(vec![]) };
        let now = Timestamp::UNIX_EPOCH;
        let ids = |secrets: &EndpointSecrets, at| secrets.live(at).map(|it| it.id.as_u128()).collect::<Vec<_>>();
        let first = EndpointSecrets { current: secret(1), previous: None };
        let second = first.rotated(secret(2), now);
        let third = second.rotated(secret(3), now);
        assert_eq!((ids(&first, now), ids(&second, now), ids(&third, now)), (vec![1], vec![2, 1], vec![3, 2]));
        assert_eq!(ids(&third, now + ROTATION_OVERLAP), [3]);
        assert!(third.find(Uuid::from_u128(2), now).is_some() && third.find(Uuid::from_u128(1), now).is_none());
    }
}
