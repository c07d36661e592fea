//! `WebhookService`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encore_app::webhooks::{WebhookUseCases, WithSecret};
use encore_domain::audit_log::StaffCall;
use encore_domain::identity::session::Secret;
use encore_domain::ids::{EndpointId, PerformanceId};
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DeliveryState, Disabled, ENDPOINT_KINDS_MAX, ENDPOINT_PERFORMANCES_MAX, EndpointUrl, WebhookAnswer,
    WebhookDelivery, WebhookEndpoint, WebhookFilter, WhyDisabled,
};
use encore_event_format::{data_type, kind_of};
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::webhook_service_server::WebhookService;
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::page_token::Listings;
use crate::sent_body::sent_body;
use crate::to_proto::timestamp;

/// What a secret begins with, as Standard Webhooks say.
const SECRET_PREFIX: &str = "whsec_";
/// The longest id of an event.
const EVENT_ID_MAX_LEN: usize = 200;

/// The handlers of `WebhookService`.
pub(crate) struct WebhooksApi {
    pub(crate) webhooks: WebhookUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
    pub(crate) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl WebhookService for WebhooksApi {
    async fn create_endpoint(
        &self,
        request: Request<pb::CreateEndpointRequest>,
    ) -> Result<Response<pb::CreateEndpointResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("CreateEndpoint", &message));
        let url = fields.read("url", EndpointUrl::parse(&message.url));
        let filter = filter(&mut fields, message.filter.as_ref());
        let (Some(key), Some(url), Some(filter)) = (key, url, filter) else {
            return Err(fields.into_status());
        };
        let webhooks = self.webhooks.clone();
        let call = StaffCall { caller, rpc: "WebhookService.CreateEndpoint", request: Some(key) };
        let creating = async move { webhooks.create(call, url, filter, key).await };
        let WithSecret { endpoint, secret } = self.calls.write(creating).await?;
        let (endpoint, secret) = (Some(self.endpoint(&endpoint)), secret_text(secret));
        Ok(Response::new(pb::CreateEndpointResponse { endpoint, secret }))
    }

    async fn get_endpoint(
        &self,
        request: Request<pb::GetEndpointRequest>,
    ) -> Result<Response<pb::GetEndpointResponse>, Status> {
        let id = endpoint_id(&request.get_ref().endpoint_id)?;
        let endpoint = self.calls.read(self.webhooks.get(id)).await?;
        Ok(Response::new(pb::GetEndpointResponse { endpoint: Some(self.endpoint(&endpoint)) }))
    }

    async fn list_endpoints(
        &self,
        request: Request<pb::ListEndpointsRequest>,
    ) -> Result<Response<pb::ListEndpointsResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let listing = self.listings.of("ListEndpoints", None, []);
        let Some(page) = fields.page(&listing, message.page_size, &message.page_token) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.webhooks.list(page)).await?;
        Ok(Response::new(pb::ListEndpointsResponse {
            endpoints: page.items.iter().map(|endpoint| self.endpoint(endpoint)).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn update_endpoint(
        &self,
        request: Request<pb::UpdateEndpointRequest>,
    ) -> Result<Response<pb::UpdateEndpointResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.id("endpoint_id", &message.endpoint_id);
        let url = fields.read("url", EndpointUrl::parse(&message.url));
        let filter = filter(&mut fields, message.filter.as_ref());
        let (Some(id), Some(url), Some(filter)) = (id, url, filter) else {
            return Err(fields.into_status());
        };
        let webhooks = self.webhooks.clone();
        let call = StaffCall { caller, rpc: "WebhookService.UpdateEndpoint", request: None };
        let updating = async move { webhooks.update(call, id, url, filter).await };
        let endpoint = Some(self.endpoint(&self.calls.write(updating).await?));
        Ok(Response::new(pb::UpdateEndpointResponse { endpoint }))
    }

    async fn delete_endpoint(
        &self,
        request: Request<pb::DeleteEndpointRequest>,
    ) -> Result<Response<pb::DeleteEndpointResponse>, Status> {
        let (caller, id) = (caller(&request)?, endpoint_id(&request.get_ref().endpoint_id)?);
        let webhooks = self.webhooks.clone();
        let call = StaffCall { caller, rpc: "WebhookService.DeleteEndpoint", request: None };
        self.calls.write(async move { webhooks.delete(call, id).await }).await?;
        Ok(Response::new(pb::DeleteEndpointResponse {}))
    }

    async fn rotate_secret(
        &self,
        request: Request<pb::RotateSecretRequest>,
    ) -> Result<Response<pb::RotateSecretResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("RotateSecret", &message));
        let id = fields.id("endpoint_id", &message.endpoint_id);
        let (Some(key), Some(id)) = (key, id) else { return Err(fields.into_status()) };
        let webhooks = self.webhooks.clone();
        let call = StaffCall { caller, rpc: "WebhookService.RotateSecret", request: Some(key) };
        let rotating = async move { webhooks.rotate_secret(call, id, key).await };
        let WithSecret { endpoint, secret } = self.calls.write(rotating).await?;
        let (endpoint, secret) = (Some(self.endpoint(&endpoint)), secret_text(secret));
        Ok(Response::new(pb::RotateSecretResponse { endpoint, secret }))
    }

    async fn enable_endpoint(
        &self,
        request: Request<pb::EnableEndpointRequest>,
    ) -> Result<Response<pb::EnableEndpointResponse>, Status> {
        let (caller, id) = (caller(&request)?, endpoint_id(&request.get_ref().endpoint_id)?);
        let webhooks = self.webhooks.clone();
        let call = StaffCall { caller, rpc: "WebhookService.EnableEndpoint", request: None };
        let (endpoint, missed) = self.calls.write(async move { webhooks.enable(call, id).await }).await?;
        let (endpoint, missed_before) = (Some(self.endpoint(&endpoint)), missed.map(timestamp));
        Ok(Response::new(pb::EnableEndpointResponse { endpoint, missed_before }))
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let undelivered = if message.only_undelivered { "undelivered" } else { "" };
        let listing = self.listings.of("ListDeliveries", None, [message.endpoint_id.as_str(), undelivered]);
        let id = fields.id("endpoint_id", &message.endpoint_id);
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let (Some(id), Some(page)) = (id, page) else { return Err(fields.into_status()) };
        let page = self.calls.read(self.webhooks.deliveries(id, message.only_undelivered, page)).await?;
        Ok(Response::new(pb::ListDeliveriesResponse {
            deliveries: page.items.iter().map(delivery_to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn resend_delivery(
        &self,
        request: Request<pb::ResendDeliveryRequest>,
    ) -> Result<Response<pb::ResendDeliveryResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.id("endpoint_id", &message.endpoint_id);
        let fits = (1..=EVENT_ID_MAX_LEN).contains(&message.event_id.len()) && !message.event_id.contains('\0');
        let event_id = if fits { Ok(message.event_id) } else { Err("must be the ID of an event") };
        let event_id = fields.read("event_id", event_id);
        let (Some(id), Some(event_id)) = (id, event_id) else { return Err(fields.into_status()) };
        let webhooks = self.webhooks.clone();
        let delivery = self.calls.write(async move { webhooks.resend(id, &event_id).await }).await?;
        Ok(Response::new(pb::ResendDeliveryResponse { delivery: Some(delivery_to_proto(&delivery)) }))
    }

    async fn replay_events(
        &self,
        request: Request<pb::ReplayEventsRequest>,
    ) -> Result<Response<pb::ReplayEventsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.id("endpoint_id", &message.endpoint_id);
        let since = fields.timestamp("since", message.since.as_ref());
        let (Some(id), Some(since)) = (id, since) else { return Err(fields.into_status()) };
        let webhooks = self.webhooks.clone();
        let since = self.calls.write(async move { webhooks.replay(caller, id, since).await }).await?;
        Ok(Response::new(pb::ReplayEventsResponse { since: Some(timestamp(since)) }))
    }
}

impl WebhooksApi {
    fn endpoint(&self, endpoint: &WebhookEndpoint) -> pb::WebhookEndpoint {
        endpoint_to_proto(endpoint, self.clock.now())
    }
}

/// The id of an endpoint, where it is the only field.
fn endpoint_id(text: &str) -> Result<EndpointId, Status> {
    let mut fields = Fields::default();
    fields.id("endpoint_id", text).ok_or_else(|| fields.into_status())
}

fn filter(fields: &mut Fields, filter: Option<&pb::WebhookFilter>) -> Option<WebhookFilter> {
    let Some(pb::WebhookFilter { types, performance_ids }) = filter else { return Some(WebhookFilter::default()) };
    if types.len() > ENDPOINT_KINDS_MAX {
        fields.refuse("filter.types", format!("must name at most {ENDPOINT_KINDS_MAX}"));
        return None;
    }
    if performance_ids.len() > ENDPOINT_PERFORMANCES_MAX {
        fields.refuse("filter.performance_ids", format!("must name at most {ENDPOINT_PERFORMANCES_MAX}"));
        return None;
    }
    let rule = "must be the full name of the data of an event, such as encore.events.v1.HoldPlaced";
    let mut kinds = Vec::with_capacity(types.len());
    for (index, name) in types.iter().enumerate() {
        let kind = fields.read(&format!("filter.types[{index}]"), kind_of(name).ok_or(rule));
        kinds.extend(kind.map(str::to_owned));
    }
    let mut performances = Vec::with_capacity(performance_ids.len());
    for (index, id) in performance_ids.iter().enumerate() {
        performances.extend(fields.id::<PerformanceId>(&format!("filter.performance_ids[{index}]"), id));
    }
    let are_valid = kinds.len() == types.len() && performances.len() == performance_ids.len();
    are_valid.then_some(WebhookFilter { kinds, performances })
}

fn secret_text(secret: Option<Secret>) -> String {
    secret.map(|secret| format!("{SECRET_PREFIX}{}", STANDARD.encode(secret.0))).unwrap_or_default()
}

fn endpoint_to_proto(endpoint: &WebhookEndpoint, now: Timestamp) -> pb::WebhookEndpoint {
    use pb::WebhookEndpointState as State;
    let WebhookEndpoint { id, url, filter, secrets, made_by, made_at, disabled, failing_since } = endpoint;
    let (state, since) = match (disabled, failing_since) {
        (Some(Disabled { at, why: WhyDisabled::Gone }), _) => (State::Gone, Some(*at)),
        (Some(Disabled { at, why: WhyDisabled::Failing }), _) => (State::Failed, Some(*at)),
        (None, Some(since)) => (State::Failing, Some(*since)),
        (None, None) => (State::Enabled, None),
    };
    let previous = secrets.previous.as_ref().filter(|(_, ends_at)| now < *ends_at);
    pb::WebhookEndpoint {
        endpoint_id: id.to_string(),
        url: url.as_str().to_owned(),
        filter: Some(pb::WebhookFilter {
            types: filter.kinds.iter().filter_map(|kind| data_type(kind)).map(str::to_owned).collect(),
            performance_ids: filter.performances.iter().map(ToString::to_string).collect(),
        }),
        state: state.into(),
        state_since: since.map(timestamp),
        operator_id: made_by.to_string(),
        created_at: Some(timestamp(*made_at)),
        previous_secret_ends_at: previous.map(|(_, ends_at)| timestamp(*ends_at)),
    }
}

fn delivery_to_proto(delivery: &WebhookDelivery) -> pb::WebhookDelivery {
    use pb::WebhookDeliveryState as State;
    let (state, next_try_at) = match delivery.state {
        DeliveryState::Delivered => (State::Delivered, None),
        DeliveryState::Waiting { next_try_at } => (State::Waiting, Some(next_try_at)),
        DeliveryState::GivenUp => (State::GivenUp, None),
    };
    let (status, failure) = match &delivery.answer {
        WebhookAnswer::Status(status) => (*status, String::new()),
        WebhookAnswer::None(reason) => (0, reason.clone()),
    };
    pb::WebhookDelivery {
        event_id: delivery.event.id.clone(),
        r#type: data_type(&delivery.event.kind).unwrap_or_default().to_owned(),
        state: state.into(),
        tries: delivery.tries,
        began_at: Some(timestamp(delivery.began_at)),
        tried_at: Some(timestamp(delivery.tried_at)),
        status: status.into(),
        failure,
        next_try_at: next_try_at.map(timestamp),
    }
}
