//! Endpoints outside that are sent events.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::{StaffAct, StaffCall};
use encore_domain::event::OutboxPlace;
use encore_domain::identity::Caller;
use encore_domain::identity::session::Secret;
use encore_domain::ids::{AuditEntryId, EndpointId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{
    AddEndpointRefusal, Clock, DeliveryCursor, Ids, NoSuchEndpoint, Outbox, SecretSeals, WebhookDeliveries,
    WebhookEndpoints, WebhookSender,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    ENDPOINTS_MAX, EndpointSecret, EndpointSecrets, EndpointUrl, REPLAY_MAX, Replay, WebhookDelivery, WebhookEndpoint,
    WebhookFilter,
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::contexts::PerformanceContexts;
use crate::error::{AppError, Violation};
use crate::repeats::or_first_result;

/// The clocks of instances differ by less, so an event is not in a window before one that is older by more.
const CLOCKS_DIFFER_BY: Duration = Duration::from_mins(2);

/// What [`WebhookUseCases`] is made of.
#[derive(Clone)]
pub struct WebhookParts {
    /// The endpoints.
    pub endpoints: Arc<dyn WebhookEndpoints>,
    /// What they were sent.
    pub deliveries: Arc<dyn WebhookDeliveries>,
    /// Knows where may be sent to.
    pub sender: Arc<dyn WebhookSender>,
    /// Seals their secrets.
    pub seals: Arc<dyn SecretSeals>,
    /// The events.
    pub outbox: Arc<dyn Outbox>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids and secrets.
    pub ids: Arc<dyn Ids>,
}

/// An endpoint with a secret that is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithSecret {
    /// The endpoint.
    pub endpoint: WebhookEndpoint,
    /// The secret that the call made. None if a repeated call finds that it has ended since.
    pub secret: Option<Secret>,
}

/// The use cases of `WebhookService`.
#[derive(Clone)]
pub struct WebhookUseCases(WebhookParts);

impl WebhookUseCases {
    /// The use cases over their ports.
    pub fn new(parts: WebhookParts) -> Self {
        Self(parts)
    }

    /// Adds an endpoint, which is sent events from now on. Idempotent: a repeated request returns the endpoint that it added.
    pub async fn create(
        &self,
        call: StaffCall,
        url: EndpointUrl,
        filter: WebhookFilter,
        request: RequestKey,
    ) -> Result<WithSecret, AppError> {
        let added = self.add(call, url, filter, request).await;
        let endpoint = or_first_result(added, || self.0.endpoints.find_added(request)).await?;
        let secret = self.secret(&endpoint, endpoint.id.0);
        Ok(WithSecret { endpoint, secret })
    }

    async fn add(
        &self,
        call: StaffCall,
        url: EndpointUrl,
        filter: WebhookFilter,
        request: RequestKey,
    ) -> Result<WebhookEndpoint, AppError> {
        self.check(&url, &filter).await?;
        let WebhookParts { endpoints, seals, outbox, clock, ids, .. } = &self.0;
        let id = ids.next();
        let secret = EndpointSecret { id, sealed: seals.seal(&ids.secret(), id) };
        let endpoint = WebhookEndpoint {
            id: EndpointId(id),
            url,
            filter,
            secrets: EndpointSecrets { current: secret, previous: None },
            made_by: call.caller.user,
            made_at: clock.now(),
            disabled: None,
            failing_since: None,
        };
        let added = endpoints.add(endpoint, outbox.end().await?, request, Some(self.act(call))).await?.into_inner();
        info!(endpoint = %added.id, operator = %call.caller.user, "webhook endpoint added");
        Ok(added)
    }

    /// Whether an endpoint may be there, and its performances exist.
    async fn check(&self, url: &EndpointUrl, filter: &WebhookFilter) -> Result<(), AppError> {
        if let Some(rule) = self.0.sender.refuses(url) {
            return Err(AppError::Invalid(vec![Violation::new("url", rule)]));
        }
        for performance in &filter.performances {
            self.0.contexts.performance(*performance).await?;
        }
        Ok(())
    }

    fn act(&self, call: StaffCall) -> StaffAct {
        call.act(AuditEntryId(self.0.ids.next()), self.0.clock.now(), None)
    }

    fn secret(&self, endpoint: &WebhookEndpoint, id: Uuid) -> Option<Secret> {
        let live = endpoint.secrets.find(id, self.0.clock.now());
        live.and_then(|secret| self.0.seals.open(&secret.sealed, endpoint.id.0))
    }

    /// An endpoint.
    pub async fn get(&self, id: EndpointId) -> Result<WebhookEndpoint, AppError> {
        self.0.endpoints.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// A page of all endpoints.
    pub async fn list(&self, page: PageRequest<EndpointId>) -> Result<Page<WebhookEndpoint, EndpointId>, AppError> {
        Ok(self.0.endpoints.page(page).await?)
    }

    /// Changes where and what an endpoint is sent.
    pub async fn update(
        &self,
        call: StaffCall,
        id: EndpointId,
        url: EndpointUrl,
        filter: WebhookFilter,
    ) -> Result<WebhookEndpoint, AppError> {
        self.check(&url, &filter).await?;
        let changed = self.0.endpoints.change(id, url, filter, Some(self.act(call))).await?;
        let changed = changed.ok_or_else(|| not_found(id))?;
        info!(endpoint = %id, operator = %call.caller.user, "webhook endpoint changed");
        Ok(changed)
    }

    /// Removes an endpoint.
    pub async fn delete(&self, call: StaffCall, id: EndpointId) -> Result<(), AppError> {
        if !self.0.endpoints.remove(id, self.0.clock.now(), Some(self.act(call))).await? {
            return Err(not_found(id));
        }
        info!(endpoint = %id, operator = %call.caller.user, "webhook endpoint removed");
        Ok(())
    }

    /// Gives an endpoint a new secret. Idempotent: a repeated request rotates once.
    pub async fn rotate_secret(
        &self,
        call: StaffCall,
        id: EndpointId,
        request: RequestKey,
    ) -> Result<WithSecret, AppError> {
        let WebhookParts { endpoints, seals, clock, ids, .. } = &self.0;
        let secret = EndpointSecret { id: ids.next(), sealed: seals.seal(&ids.secret(), id.0) };
        let rotated = endpoints.rotate(id, secret, clock.now(), request, Some(self.act(call))).await?.into_inner();
        info!(endpoint = %rotated.endpoint.id, operator = %call.caller.user, "secret of a webhook endpoint rotated");
        let secret = self.secret(&rotated.endpoint, rotated.secret);
        Ok(WithSecret { endpoint: rotated.endpoint, secret })
    }

    /// Enables an endpoint, which is sent what it missed as far as that is kept. Returns it, and the moment before which events that
    /// it was not sent may have been deleted.
    pub async fn enable(
        &self,
        call: StaffCall,
        id: EndpointId,
    ) -> Result<(WebhookEndpoint, Option<Timestamp>), AppError> {
        let WebhookParts { endpoints, outbox, clock, .. } = &self.0;
        let before = self.get(id).await?;
        let enabled = endpoints.enable(id, clock.now(), Some(self.act(call))).await?.ok_or_else(|| not_found(id))?;
        let Some(disabled) = before.disabled else { return Ok((enabled, None)) };
        // It was disabled after it had taken nothing for a time, whose events are deleted from then on.
        let missing_since = before.failing_since.map_or(disabled.at, |since| since.min(disabled.at));
        let missed = outbox.forgotten_before().await?.filter(|forgotten| missing_since < *forgotten);
        info!(endpoint = %id, operator = %call.caller.user, "webhook endpoint enabled");
        if let Some(missed) = missed {
            warn!(endpoint = %id, from = %missing_since, to = %missed, "events of this time may have been deleted; they are not sent");
        }
        Ok((enabled, missed))
    }

    /// A page of what an endpoint was sent.
    pub async fn deliveries(
        &self,
        id: EndpointId,
        only_undelivered: bool,
        page: PageRequest<DeliveryCursor>,
    ) -> Result<Page<WebhookDelivery, DeliveryCursor>, AppError> {
        self.get(id).await?;
        Ok(self.0.deliveries.page(id, only_undelivered, page).await?)
    }

    /// Sends an event once more to an endpoint that was sent it.
    pub async fn resend(&self, id: EndpointId, event_id: &str) -> Result<WebhookDelivery, AppError> {
        let WebhookParts { deliveries, outbox, clock, .. } = &self.0;
        self.get(id).await?;
        let missing = || AppError::NotFound { kind: "webhook_delivery", ids: vec![event_id.to_owned()] };
        let event = deliveries.find(id, event_id).await?.ok_or_else(missing)?.event;
        let kept = outbox.of_key_after(event.key, event.place.before(), event.place, 1).await?;
        if kept.records.is_empty() {
            return Err(AppError::NotFound { kind: "event", ids: vec![event_id.to_owned()] });
        }
        deliveries.resend(id, event_id, clock.now()).await?.ok_or_else(missing)
    }

    /// Begins to send the events since a moment once more. Returns from which moment on they are all kept.
    pub async fn replay(&self, operator: Caller, id: EndpointId, since: Timestamp) -> Result<Timestamp, AppError> {
        let WebhookParts { deliveries, outbox, clock, ids, .. } = &self.0;
        let now = clock.now();
        if since > now || since + REPLAY_MAX < now {
            let rule = "must be a time of the last 30 days";
            return Err(AppError::Invalid(vec![Violation::new("since", rule)]));
        }
        let (cursor, until) = (self.place_before(since).await?, outbox.end().await?);
        let replay = Replay { id: ids.next(), since, cursor, until };
        if !deliveries.replay(id, replay).await? {
            return Err(not_found(id));
        }
        info!(endpoint = %id, operator = %operator.user, %since, "events are sent to a webhook endpoint once more");
        Ok(outbox.forgotten_before().await?.map_or(since, |forgotten| forgotten.max(since)))
    }

    /// A place before all events since a moment, and not long before. Windows are in the order of time, so it is found by halving.
    async fn place_before(&self, since: Timestamp) -> Result<OutboxPlace, AppError> {
        let outbox = &self.0.outbox;
        let at = |window| OutboxPlace { window, sequence: 0 };
        // Everything in windows before `low` is older, nothing at `high` or after is known to be.
        let (mut low, mut high) = (0, outbox.end().await?.window);
        while low < high {
            let middle = low + (high - low) / 2;
            let page = outbox.after(at(middle), 1).await?;
            let older = page.records.first().filter(|record| record.at + CLOCKS_DIFFER_BY < since);
            match older {
                // Its window may go on with younger events.
                Some(record) if record.place.window > low => low = record.place.window,
                Some(_) | None => high = middle,
            }
        }
        Ok(at(low))
    }
}

fn not_found(id: EndpointId) -> AppError {
    AppError::not_found("webhook_endpoint", id)
}

impl From<AddEndpointRefusal> for AppError {
    fn from(refusal: AddEndpointRefusal) -> Self {
        match refusal {
            AddEndpointRefusal::TooMany => Self::TooManyEndpoints { limit: ENDPOINTS_MAX },
            AddEndpointRefusal::Removed => Self::NotFound { kind: "webhook_endpoint", ids: vec![] },
        }
    }
}

impl From<NoSuchEndpoint> for AppError {
    fn from(_: NoSuchEndpoint) -> Self {
        Self::NotFound { kind: "webhook_endpoint", ids: vec![] }
    }
}
