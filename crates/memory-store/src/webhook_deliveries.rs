use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::EndpointId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{DeliveryCursor, WebhookDeliveries};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DELIVERIES_WAITING_MAX, DeliveryState, HeldEndpoint, Replay, WebhookDelivery, WebhookProgress, WebhookSummary,
};
use uuid::Uuid;

use crate::paging::rows;
use crate::records::MemoryRecords;

/// [`WebhookDeliveries`] in process.
pub struct MemoryWebhookDeliveries(MemoryRecords);

impl MemoryWebhookDeliveries {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl WebhookDeliveries for MemoryWebhookDeliveries {
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        renew_before: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HeldEndpoint>, Unavailable> {
        let webhooks = &mut self.0.lock().webhooks;
        for record in webhooks.endpoints.values_mut().filter(|record| record.endpoint.disabled.is_none()) {
            let may_take = match record.lease {
                None => true,
                Some((of, ends_at)) if of == holder => ends_at < renew_before,
                Some((_, ends_at)) => ends_at <= now,
            };
            if may_take {
                record.lease = Some((holder, until));
            }
        }
        let held = webhooks.endpoints.values().filter(|record| record.lease.is_some_and(|(of, _)| of == holder));
        let held = held.map(|record| HeldEndpoint {
            endpoint: record.endpoint.clone(),
            cursor: record.cursor,
            replay: record.replay.clone(),
            waiting: webhooks.waiting(record.endpoint.id).take(DELIVERIES_WAITING_MAX as usize).count() as u64,
            due_at: webhooks.waiting(record.endpoint.id).map(|(due_at, _)| due_at).min(),
        });
        Ok(held.collect())
    }

    async fn release(&self, holder: Uuid) -> Result<(), Unavailable> {
        for record in self.0.lock().webhooks.endpoints.values_mut() {
            record.lease = record.lease.filter(|(of, _)| *of != holder);
        }
        Ok(())
    }

    async fn due(&self, endpoint: EndpointId, now: Timestamp, limit: u32) -> Result<Vec<WebhookDelivery>, Unavailable> {
        let webhooks = &self.0.lock().webhooks;
        let mut due: Vec<_> = webhooks.waiting(endpoint).filter(|(due_at, _)| *due_at <= now).collect();
        due.sort_by_key(|(due_at, delivery)| (*due_at, delivery.event.id.clone()));
        Ok(due.into_iter().take(limit as usize).map(|(_, delivery)| delivery.clone()).collect())
    }

    async fn record(
        &self,
        holder: Uuid,
        endpoint: EndpointId,
        progress: &WebhookProgress,
    ) -> Result<bool, Unavailable> {
        let webhooks = &mut self.0.lock().webhooks;
        let record = webhooks.endpoints.get_mut(&endpoint);
        let record = record.filter(|record| record.lease.is_some_and(|(of, _)| of == holder));
        let Some(record) = record.filter(|record| record.endpoint.disabled.is_none()) else { return Ok(false) };
        let WebhookProgress { deliveries, cursor, replay, failing_since, disabled } = progress;
        record.cursor = cursor.map_or(record.cursor, |cursor| cursor.max(record.cursor));
        if let Some((id, cursor)) = replay {
            record.replay = match (record.replay.take(), cursor) {
                (Some(mine), Some(cursor)) if mine.id == *id => {
                    Some(Replay { cursor: mine.cursor.max(*cursor), ..mine })
                }
                (Some(mine), None) if mine.id == *id => None,
                (other, _) => other,
            };
        }
        (record.endpoint.failing_since, record.endpoint.disabled) = (*failing_since, *disabled);
        if disabled.is_some() {
            record.lease = None;
        }
        let by_event = deliveries.iter().map(|delivery| ((endpoint, delivery.event.id.clone()), delivery.clone()));
        webhooks.deliveries.extend(by_event);
        Ok(true)
    }

    async fn find(&self, endpoint: EndpointId, event_id: &str) -> Result<Option<WebhookDelivery>, Unavailable> {
        Ok(self.0.lock().webhooks.deliveries.get(&(endpoint, event_id.to_owned())).cloned())
    }

    async fn page(
        &self,
        endpoint: EndpointId,
        only_undelivered: bool,
        page: PageRequest<DeliveryCursor>,
    ) -> Result<Page<WebhookDelivery, DeliveryCursor>, Unavailable> {
        let webhooks = &self.0.lock().webhooks;
        let wanted =
            webhooks.of(endpoint).filter(|it| !only_undelivered || !matches!(it.state, DeliveryState::Delivered));
        let mut wanted: Vec<_> = wanted.map(|it| ((it.tried_at, it.event.id.clone()), it)).collect();
        wanted.sort_by(|(one, _), (other, _)| other.cmp(one));
        let of_page = wanted.into_iter().filter(|(at, _)| page.after.as_ref().is_none_or(|after| at < after));
        let items = of_page.take(rows(&page)).map(|(_, delivery)| delivery.clone()).collect();
        Ok(Page::from_rows(items, page.size, |it: &WebhookDelivery| (it.tried_at, it.event.id.clone())))
    }

    async fn resend(
        &self,
        endpoint: EndpointId,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookDelivery>, Unavailable> {
        let deliveries = &mut self.0.lock().webhooks.deliveries;
        Ok(deliveries.get_mut(&(endpoint, event_id.to_owned())).map(|delivery| {
            (delivery.tries, delivery.began_at) = (0, now);
            delivery.state = DeliveryState::Waiting { next_try_at: now };
            delivery.clone()
        }))
    }

    async fn replay(&self, endpoint: EndpointId, replay: Replay) -> Result<bool, Unavailable> {
        let endpoints = &mut self.0.lock().webhooks.endpoints;
        Ok(endpoints.get_mut(&endpoint).map(|record| record.replay = Some(replay)).is_some())
    }

    async fn summary(&self) -> Result<WebhookSummary, Unavailable> {
        let webhooks = &self.0.lock().webhooks;
        let mut summary = WebhookSummary::default();
        for record in webhooks.endpoints.values() {
            if record.endpoint.disabled.is_some() {
                summary.disabled += 1;
                continue;
            }
            if record.endpoint.failing_since.is_some() {
                summary.failing += 1;
            } else {
                summary.healthy += 1;
            }
            summary.waiting += webhooks.waiting(record.endpoint.id).count() as u64;
            summary.cursor = Some(summary.cursor.map_or(record.cursor, |cursor| cursor.min(record.cursor)));
        }
        Ok(summary)
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let deliveries = &mut self.0.lock().webhooks.deliveries;
        let is_old = |it: &&WebhookDelivery| it.tried_at < before && !matches!(it.state, DeliveryState::Waiting { .. });
        let old = deliveries.values().filter(is_old).take(limit as usize);
        let old: Vec<(EndpointId, String)> = old.map(|it| (it.endpoint, it.event.id.clone())).collect();
        for key in &old {
            deliveries.remove(key);
        }
        Ok(old.len() as u64)
    }
}
