use std::convert::Infallible;

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

use crate::audit_log::StaffAct;
use crate::error::{RequestError, Unavailable};
use crate::event::OutboxPlace;
use crate::ids::EndpointId;
use crate::page::{Page, PageRequest};
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;
use crate::webhook::{EndpointSecret, EndpointUrl, WebhookEndpoint, WebhookFilter};

/// Why an endpoint was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddEndpointRefusal {
    /// There are as many as there may be.
    #[error("there are too many endpoints")]
    TooMany,
    /// The request is a repeat, and the endpoint that it added was removed.
    #[error("the endpoint was removed")]
    Removed,
}

/// There is no such endpoint, or it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no such endpoint")]
pub struct NoSuchEndpoint;

/// The result of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The endpoint as it is now.
    pub endpoint: WebhookEndpoint,
    /// The id of the secret that the rotation made.
    pub secret: Uuid,
}

/// The endpoints that events are sent to.
///
/// Whoever adds or changes one hands in the act, which is noted in the audit log. Without an act there is no entry.
///
/// # Contract
/// - `adding`: an endpoint is found as it was added
/// - `repeating_an_addition`: the same request answers [`Applied::Before`] with the endpoint as it is now and adds nothing, and
///   [`WebhookEndpoints::find_added`] finds it; another body is [`RequestError::Reused`]
/// - `bounding`: one more than [`ENDPOINTS_MAX`](crate::webhook::ENDPOINTS_MAX) is refused; removing one makes room
/// - `listing`: pages list all endpoints in the order of their ids, each once
/// - `changing`: URL and filter change, and nothing else
/// - `removing`: an endpoint that was removed is neither found nor listed, changed, rotated, enabled or removed again
/// - `rotating`: the new secret is the current one, and the one before stays live for a time; a third ends the first
/// - `repeating_a_rotation`: the same request rotates once and tells which secret it made
/// - `enabling`: an endpoint that was disabled is sent to again; deliveries that wait are due at once
/// - `noting`: each change that an act makes has an entry in the audit log, without a secret; none of a repeat, a refusal, or of enabling
///   what is not disabled
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WebhookEndpoints: Send + Sync {
    /// Adds an endpoint that is sent the events after a place.
    async fn add(
        &self,
        endpoint: WebhookEndpoint,
        cursor: OutboxPlace,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WebhookEndpoint>, RequestError<AddEndpointRefusal>>;

    /// The endpoint that an earlier request added.
    async fn find_added(&self, request: RequestKey) -> Result<Option<WebhookEndpoint>, RequestError<Infallible>>;

    /// An endpoint.
    async fn find(&self, id: EndpointId) -> Result<Option<WebhookEndpoint>, Unavailable>;

    /// A page of all endpoints.
    async fn page(&self, page: PageRequest<EndpointId>) -> Result<Page<WebhookEndpoint, EndpointId>, Unavailable>;

    /// Changes where and what an endpoint is sent.
    async fn change(
        &self,
        id: EndpointId,
        url: EndpointUrl,
        filter: WebhookFilter,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable>;

    /// Removes an endpoint. Returns whether there was one.
    async fn remove(&self, id: EndpointId, at: Timestamp, act: Option<StaffAct>) -> Result<bool, Unavailable>;

    /// Gives an endpoint a new secret.
    async fn rotate(
        &self,
        id: EndpointId,
        secret: EndpointSecret,
        now: Timestamp,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<Rotated>, RequestError<NoSuchEndpoint>>;

    /// Enables an endpoint, and tries the deliveries that wait anew. Changes nothing if it is not disabled.
    async fn enable(
        &self,
        id: EndpointId,
        now: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable>;
}
