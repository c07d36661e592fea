use async_trait::async_trait;
use uuid::Uuid;

use crate::error::Unavailable;
use crate::ids::EndpointId;
use crate::page::{Page, PageRequest};
use crate::time::Timestamp;
use crate::webhook::{HeldEndpoint, Replay, WebhookDelivery, WebhookProgress, WebhookSummary};

/// Where a page of deliveries ends: when it was tried last, and the id of the event.
pub type DeliveryCursor = (Timestamp, String);

/// How far each endpoint is, which instance sends to it, and what was delivered.
///
/// # Contract
/// - `holding`: one holder at a time for each endpoint that is not disabled: another acquires it after it was released, or when its time
///   is over
/// - `renewing`: a holder prolongs what it has when little time is left, and is told all that it has
/// - `recording`: what the holder recorded is found by whoever holds the endpoint next
/// - `fencing`: who does not hold an endpoint records nothing, nor does anybody for one that is disabled or removed
/// - `advancing`: neither the cursor of an endpoint nor that of a replay moves back, whatever is recorded
/// - `retrying`: deliveries that wait are due when their time has come, the earliest first, at most `limit`
/// - `counting_what_waits`: the deliveries that wait are counted up to
///   [`DELIVERIES_WAITING_MAX`](crate::webhook::DELIVERIES_WAITING_MAX), and the first that is due is found among all of them
/// - `disabling`: an endpoint that was disabled is held by nobody
/// - `listing`: pages list deliveries, those tried last first, each once; or only those that were not delivered
/// - `resending`: a delivery is due at once and begins anew
/// - `replaying`: a replay goes on where it was recorded, until it is over; a new one replaces it
/// - `summing_up`: endpoints and what waits are counted
/// - `forgetting`: old deliveries that do not wait go, and those of endpoints that were removed, at most `limit` at once
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WebhookDeliveries: Send + Sync {
    /// Takes every endpoint that nobody holds until `until`, prolongs those of the holder that end before `renew_before`, and returns all
    /// that it has.
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        renew_before: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HeldEndpoint>, Unavailable>;

    /// Gives back all that the holder has.
    async fn release(&self, holder: Uuid) -> Result<(), Unavailable>;

    /// The deliveries of an endpoint that are due.
    async fn due(&self, endpoint: EndpointId, now: Timestamp, limit: u32) -> Result<Vec<WebhookDelivery>, Unavailable>;

    /// Records what was done for an endpoint, if `holder` was the last to acquire it and it is not disabled. Returns whether it was.
    async fn record(&self, holder: Uuid, endpoint: EndpointId, progress: &WebhookProgress)
    -> Result<bool, Unavailable>;

    /// The delivery of an event to an endpoint.
    async fn find(&self, endpoint: EndpointId, event_id: &str) -> Result<Option<WebhookDelivery>, Unavailable>;

    /// A page of the deliveries to an endpoint.
    async fn page(
        &self,
        endpoint: EndpointId,
        only_undelivered: bool,
        page: PageRequest<DeliveryCursor>,
    ) -> Result<Page<WebhookDelivery, DeliveryCursor>, Unavailable>;

    /// Makes a delivery due.
    async fn resend(
        &self,
        endpoint: EndpointId,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookDelivery>, Unavailable>;

    /// Begins to send events once more. Returns whether there is such an endpoint.
    async fn replay(&self, endpoint: EndpointId, replay: Replay) -> Result<bool, Unavailable>;

    /// The endpoints at this moment.
    async fn summary(&self) -> Result<WebhookSummary, Unavailable>;

    /// Deletes deliveries that were tried last before a moment and do not wait, and what is left of removed endpoints. Returns how many
    /// deliveries.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable>;
}
