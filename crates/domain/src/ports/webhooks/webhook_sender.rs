use async_trait::async_trait;

use crate::webhook::{EndpointUrl, WebhookAnswer, WebhookRequest};

/// Sends what endpoints are sent.
///
/// # Contract
/// - the answer comes within a bounded time, whatever the endpoint does
/// - nothing is sent to an address that is not allowed, whatever name or redirect leads there
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// The rule that a URL breaks, such as `must begin with https`; none if an endpoint may be there. Where a name leads is only looked at
    /// when something is sent.
    fn refuses(&self, url: &EndpointUrl) -> Option<&'static str>;

    /// Signs and sends a request, once.
    async fn send(&self, request: &WebhookRequest) -> WebhookAnswer;
}
