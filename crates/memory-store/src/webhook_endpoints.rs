use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{AddEndpointRefusal, NoSuchEndpoint, Rotated, WebhookEndpoints};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DeliveryState, ENDPOINTS_MAX, EndpointSecret, EndpointUrl, WebhookEndpoint, WebhookFilter,
};
use uuid::Uuid;

use crate::paging::{above, rows};
use crate::records::{EndpointRecord, MemoryRecords, Records};

/// [`WebhookEndpoints`] in process.
pub struct MemoryWebhookEndpoints(MemoryRecords);

/// The answer to a request that added an endpoint.
#[derive(Clone, Copy)]
struct Added(EndpointId);

/// The answer to a request that rotated a secret: the endpoint, and the secret.
#[derive(Clone, Copy)]
struct RotatedTo(EndpointId, Uuid);

impl MemoryWebhookEndpoints {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }

    fn get(&self, id: EndpointId) -> Option<WebhookEndpoint> {
        self.0.lock().webhooks.endpoints.get(&id).map(|record| record.endpoint.clone())
    }
}

#[async_trait]
impl WebhookEndpoints for MemoryWebhookEndpoints {
    async fn add(
        &self,
        endpoint: WebhookEndpoint,
        cursor: OutboxPlace,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WebhookEndpoint>, RequestError<AddEndpointRefusal>> {
        let Records { webhooks, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(Added(id)) = requests.before(Some(request))? {
            let found = webhooks.endpoints.get(&id).map(|record| record.endpoint.clone());
            return found.map(Applied::Before).ok_or(RequestError::Refused(AddEndpointRefusal::Removed));
        }
        if webhooks.endpoints.len() >= ENDPOINTS_MAX as usize {
            return Err(RequestError::Refused(AddEndpointRefusal::TooMany));
        }
        let record = EndpointRecord { endpoint: endpoint.clone(), cursor, replay: None, lease: None };
        webhooks.endpoints.insert(endpoint.id, record);
        audit_log.note(act.map(|act| act.added_endpoint(&endpoint)));
        requests.remember(Some(request), Added(endpoint.id));
        Ok(Applied::Now(endpoint))
    }

    async fn find_added(&self, request: RequestKey) -> Result<Option<WebhookEndpoint>, RequestError<Infallible>> {
        let added = self.0.lock().requests.before(Some(request))?;
        Ok(added.and_then(|Added(id)| self.get(id)))
    }

    async fn find(&self, id: EndpointId) -> Result<Option<WebhookEndpoint>, Unavailable> {
        Ok(self.get(id))
    }

    async fn page(&self, page: PageRequest<EndpointId>) -> Result<Page<WebhookEndpoint, EndpointId>, Unavailable> {
        let endpoints = &self.0.lock().webhooks.endpoints;
        let of_page = endpoints.range(above(&page)).map(|(_, record)| record.endpoint.clone());
        Ok(Page::from_rows(of_page.take(rows(&page)).collect(), page.size, |endpoint| endpoint.id))
    }

    async fn change(
        &self,
        id: EndpointId,
        url: EndpointUrl,
        filter: WebhookFilter,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable> {
        let Records { webhooks, audit_log, .. } = &mut *self.0.lock();
        let Some(record) = webhooks.endpoints.get_mut(&id) else { return Ok(None) };
        let changed = WebhookEndpoint { url, filter, ..record.endpoint.clone() };
        audit_log.note(act.map(|act| act.changed_endpoint(Some(&record.endpoint), &changed)));
        record.endpoint = changed.clone();
        Ok(Some(changed))
    }

    /// Its deliveries go with it.
    async fn remove(&self, id: EndpointId, _: Timestamp, act: Option<StaffAct>) -> Result<bool, Unavailable> {
        let Records { webhooks, audit_log, .. } = &mut *self.0.lock();
        let removed = webhooks.endpoints.remove(&id);
        webhooks.deliveries.retain(|(endpoint, _), _| *endpoint != id);
        if let Some(removed) = &removed {
            audit_log.note(act.map(|act| act.removed_endpoint(id, Some(&removed.endpoint))));
        }
        Ok(removed.is_some())
    }

    async fn rotate(
        &self,
        id: EndpointId,
        secret: EndpointSecret,
        now: Timestamp,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<Rotated>, RequestError<NoSuchEndpoint>> {
        let Records { webhooks, requests, audit_log, .. } = &mut *self.0.lock();
        let found = |id| webhooks.endpoints.get(&id).map(|record| record.endpoint.clone());
        if let Some(RotatedTo(id, secret)) = requests.before(Some(request))? {
            let endpoint = found(id).ok_or(RequestError::Refused(NoSuchEndpoint))?;
            return Ok(Applied::Before(Rotated { endpoint, secret }));
        }
        let record = webhooks.endpoints.get_mut(&id).ok_or(RequestError::Refused(NoSuchEndpoint))?;
        let secret_id = secret.id;
        let secrets = record.endpoint.secrets.rotated(secret, now);
        let rotated = WebhookEndpoint { secrets, ..record.endpoint.clone() };
        audit_log.note(act.map(|act| act.changed_endpoint(Some(&record.endpoint), &rotated)));
        record.endpoint = rotated;
        requests.remember(Some(request), RotatedTo(id, secret_id));
        Ok(Applied::Now(Rotated { endpoint: record.endpoint.clone(), secret: secret_id }))
    }

    async fn enable(
        &self,
        id: EndpointId,
        now: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<WebhookEndpoint>, Unavailable> {
        let Records { webhooks, audit_log, .. } = &mut *self.0.lock();
        let Some(record) = webhooks.endpoints.get_mut(&id) else { return Ok(None) };
        if record.endpoint.disabled.is_some() {
            let enabled = WebhookEndpoint { disabled: None, failing_since: None, ..record.endpoint.clone() };
            audit_log.note(act.map(|act| act.changed_endpoint(Some(&record.endpoint), &enabled)));
            record.endpoint = enabled;
            let of_endpoint = webhooks.deliveries.iter_mut().filter(|((endpoint, _), _)| *endpoint == id);
            for (_, delivery) in of_endpoint {
                if matches!(delivery.state, DeliveryState::Waiting { .. }) {
                    (delivery.tries, delivery.began_at) = (0, now);
                    delivery.state = DeliveryState::Waiting { next_try_at: now };
                }
            }
        }
        Ok(Some(record.endpoint.clone()))
    }
}
