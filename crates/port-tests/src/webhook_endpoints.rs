//! The cases of [`WebhookEndpoints`](encore_domain::ports::WebhookEndpoints).

use encore_domain::audit_log::{AuditFilter, AuditTarget, StaffAct};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::page::PageRequest;
use encore_domain::ports::{AddEndpointRefusal, NoSuchEndpoint, Rotated};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DeliveryState, Disabled, ENDPOINTS_MAX, EndpointSecret, EndpointSecrets, EndpointUrl, ROTATION_OVERLAP,
    SealedSecret, WebhookEndpoint, WebhookFilter, WebhookProgress, WhyDisabled,
};

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{act, altered, at_secs, id, request, start};
use crate::paging::{SIZES, read_all};
use crate::webhook_deliveries::{event, progress};

/// Stamps the cases of the port `WebhookEndpoints`.
#[macro_export]
macro_rules! webhook_endpoints {
    ($($with:tt)+) => {
        $crate::suite! { webhook_endpoints [
            adding, repeating_an_addition, bounding, listing, changing, removing, rotating, repeating_a_rotation, enabling,
            noting,
        ] $($with)+ }
    };
}

/// A secret of these bytes.
fn secret(byte: u8) -> EndpointSecret {
    EndpointSecret { id: id(), sealed: SealedSecret(vec![byte; 80]) }
}

fn url(path: &str) -> EndpointUrl {
    EndpointUrl::parse(&format!("https://hooks.example.com/{path}")).expect("a URL")
}

impl RecordBench {
    /// An endpoint of a new operator, which is not added yet.
    async fn new_endpoint(&self) -> WebhookEndpoint {
        let made_by = self.sign_up().await;
        WebhookEndpoint {
            id: id(),
            url: url("encore"),
            filter: WebhookFilter { kinds: vec!["wallet.topped_up".into()], performances: vec![id(), id()] },
            secrets: EndpointSecrets { current: secret(1), previous: None },
            made_by,
            made_at: start(),
            disabled: None,
            failing_since: None,
        }
    }

    /// Adds an endpoint that is sent the events after a place.
    pub(crate) async fn add_endpoint(&self, cursor: OutboxPlace) -> EndpointId {
        let endpoint = self.new_endpoint().await;
        let request = request(endpoint.made_by);
        made(self.webhook_endpoints.add(endpoint, cursor, request, None).await).id
    }

    pub(crate) async fn endpoint(&self, id: EndpointId) -> Option<WebhookEndpoint> {
        self.webhook_endpoints.find(id).await.expect("the store answers")
    }

    async fn remove_endpoint(&self, id: EndpointId) -> bool {
        self.webhook_endpoints.remove(id, at_secs(1), None).await.expect("the store answers")
    }
}

/// An endpoint is found as it was added.
pub async fn adding(bench: RecordBench) {
    let endpoint = bench.new_endpoint().await;
    assert_eq!(bench.endpoint(endpoint.id).await, None);
    let added =
        bench.webhook_endpoints.add(endpoint.clone(), OutboxPlace::default(), request(endpoint.made_by), None).await;
    assert_eq!(made(added), endpoint);
    assert_eq!(bench.endpoint(endpoint.id).await, Some(endpoint));
}

/// The same request answers `Applied::Before` with the endpoint as it is now and adds nothing, and `find_added` finds it; another body is
/// `RequestError::Reused`.
pub async fn repeating_an_addition(bench: RecordBench) {
    let (endpoint, start) = (bench.new_endpoint().await, OutboxPlace::default());
    let request = request(endpoint.made_by);
    let find = async || bench.webhook_endpoints.find_added(request).await.expect("the store answers");
    assert_eq!(find().await, None);
    made(bench.webhook_endpoints.add(endpoint.clone(), start, request, None).await);
    let changed = bench.webhook_endpoints.change(endpoint.id, url("other"), WebhookFilter::default(), None).await;
    let changed = changed.expect("the store answers").expect("the endpoint");
    let again = || WebhookEndpoint { id: id(), ..endpoint.clone() };
    assert_eq!(repeated(bench.webhook_endpoints.add(again(), start, request, None).await), changed);
    assert_eq!(find().await, Some(changed));
    assert_reused(&bench.webhook_endpoints.add(again(), start, altered(request), None).await);
    let all = bench.webhook_endpoints.page(PageRequest::first(10)).await.expect("the store answers");
    assert_eq!(all.items.len(), 1);
    bench.remove_endpoint(endpoint.id).await;
    assert_eq!(refused(bench.webhook_endpoints.add(again(), start, request, None).await), AddEndpointRefusal::Removed);
    assert_eq!(find().await, None);
}

/// One more than `ENDPOINTS_MAX` is refused; removing one makes room.
pub async fn bounding(bench: RecordBench) {
    let first = bench.new_endpoint().await;
    let add = async || {
        let endpoint = WebhookEndpoint { id: id(), ..first.clone() };
        bench.webhook_endpoints.add(endpoint, OutboxPlace::default(), request(first.made_by), None).await
    };
    let mut last = made(add().await);
    for _ in 1..ENDPOINTS_MAX {
        last = made(add().await);
    }
    assert_eq!(refused(add().await), AddEndpointRefusal::TooMany);
    assert!(bench.remove_endpoint(last.id).await);
    made(add().await);
}

/// Pages list all endpoints in the order of their ids, each once.
pub async fn listing(bench: RecordBench) {
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.push(bench.add_endpoint(OutboxPlace::default()).await);
    }
    expected.sort_unstable();
    for size in SIZES {
        let all = read_all(size, |page| bench.webhook_endpoints.page(page)).await;
        assert_eq!(all.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>(), expected);
    }
}

/// URL and filter change, and nothing else.
pub async fn changing(bench: RecordBench) {
    let added = bench.endpoint(bench.add_endpoint(OutboxPlace::default()).await).await.expect("the endpoint");
    let change = async |id, filter| bench.webhook_endpoints.change(id, url("new"), filter, None).await;
    let changed = change(added.id, WebhookFilter::default()).await.expect("the store answers");
    let expected = WebhookEndpoint { url: url("new"), filter: WebhookFilter::default(), ..added };
    assert_eq!(changed.as_ref(), Some(&expected));
    assert_eq!(bench.endpoint(expected.id).await, Some(expected));
    assert_eq!(change(id(), WebhookFilter::default()).await.expect("the store answers"), None);
}

/// An endpoint that was removed is neither found nor listed, changed, rotated, enabled or removed again.
pub async fn removing(bench: RecordBench) {
    let endpoint = bench.new_endpoint().await;
    let operator = endpoint.made_by;
    made(bench.webhook_endpoints.add(endpoint.clone(), OutboxPlace::default(), request(operator), None).await);
    assert!(bench.remove_endpoint(endpoint.id).await);
    assert!(!bench.remove_endpoint(endpoint.id).await);
    let endpoints = &bench.webhook_endpoints;
    assert_eq!(bench.endpoint(endpoint.id).await, None);
    let all = endpoints.page(PageRequest::first(10)).await.expect("the store answers");
    assert_eq!(all.items, []);
    let changed = endpoints.change(endpoint.id, url("new"), WebhookFilter::default(), None).await;
    assert_eq!(changed.expect("the store answers"), None);
    let rotated = endpoints.rotate(endpoint.id, secret(2), at_secs(2), request(operator), None).await;
    assert_eq!(refused(rotated), NoSuchEndpoint);
    assert_eq!(endpoints.enable(endpoint.id, at_secs(2), None).await.expect("the store answers"), None);
}

/// The new secret is the current one, and the one before stays live for a time; a third ends the first.
pub async fn rotating(bench: RecordBench) {
    let endpoint = bench.new_endpoint().await;
    made(bench.webhook_endpoints.add(endpoint.clone(), OutboxPlace::default(), request(endpoint.made_by), None).await);
    let rotate = async |new: &EndpointSecret, at: Timestamp| {
        let request = request(endpoint.made_by);
        made(bench.webhook_endpoints.rotate(endpoint.id, new.clone(), at, request, None).await)
    };
    let (second, third) = (secret(2), secret(3));
    let rotated = rotate(&second, at_secs(10)).await;
    let previous = Some((endpoint.secrets.current.clone(), at_secs(10) + ROTATION_OVERLAP));
    let secrets = EndpointSecrets { current: second.clone(), previous };
    let expected = WebhookEndpoint { secrets, ..endpoint.clone() };
    assert_eq!(rotated, Rotated { endpoint: expected.clone(), secret: second.id });
    assert_eq!(bench.endpoint(endpoint.id).await, Some(expected));
    rotate(&third, at_secs(20)).await;
    let secrets = bench.endpoint(endpoint.id).await.expect("the endpoint").secrets;
    let live = |at| secrets.live(at).cloned().collect::<Vec<_>>();
    assert_eq!(live(at_secs(20)), [third.clone(), second]);
    assert_eq!(live(at_secs(20) + ROTATION_OVERLAP), [third]);
}

/// The same request rotates once and tells which secret it made.
pub async fn repeating_a_rotation(bench: RecordBench) {
    let endpoint = bench.new_endpoint().await;
    made(bench.webhook_endpoints.add(endpoint.clone(), OutboxPlace::default(), request(endpoint.made_by), None).await);
    let (request, second) = (request(endpoint.made_by), secret(2));
    let rotated = made(bench.webhook_endpoints.rotate(endpoint.id, second, at_secs(1), request, None).await);
    for _ in 0..2 {
        let again = bench.webhook_endpoints.rotate(endpoint.id, secret(9), at_secs(2), request, None).await;
        assert_eq!(repeated(again), rotated);
    }
    let other = bench.webhook_endpoints.rotate(endpoint.id, secret(9), at_secs(2), altered(request), None).await;
    assert_reused(&other);
    assert_eq!(bench.endpoint(endpoint.id).await, Some(rotated.endpoint));
}

/// An endpoint that was disabled is sent to again; deliveries that wait are due at once.
pub async fn enabling(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(OutboxPlace::default()).await, id());
    let enable = async || bench.webhook_endpoints.enable(endpoint, at_secs(50), None).await.expect("the store answers");
    let before = bench.endpoint(endpoint).await;
    assert_eq!(enable().await, before, "it is not disabled");
    bench.hold_all(holder, at_secs(0)).await;
    let waiting = RecordBench::waiting_delivery(endpoint, event(1), at_secs(9_000));
    let disabled = Some(Disabled { at: at_secs(1), why: WhyDisabled::Gone });
    let disabling =
        WebhookProgress { deliveries: vec![waiting], failing_since: Some(at_secs(1)), disabled, ..progress() };
    assert!(bench.record(holder, endpoint, &disabling).await);
    assert_eq!(bench.endpoint(endpoint).await.expect("the endpoint").disabled, disabled);
    assert_eq!(enable().await, before);
    let held = bench.hold_all(holder, at_secs(50)).await;
    assert_eq!(held[0].due_at, Some(at_secs(50)));
    let due = bench.webhook_deliveries.due(endpoint, at_secs(50), 10).await.expect("the store answers");
    let [due] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((due.tries, due.began_at), (0, at_secs(50)));
    assert_eq!(due.state, DeliveryState::Waiting { next_try_at: at_secs(50) });
}

/// Each change that an act makes has an entry in the audit log, without a secret; none of a repeat, a refusal, or of enabling what is not
/// disabled.
pub async fn noting(bench: RecordBench) {
    let (endpoint, holder) = (bench.new_endpoint().await, id());
    let (operator, start) = (endpoint.made_by, OutboxPlace::default());
    let acts: Vec<StaffAct> = (0..9).map(|at| StaffAct { at: at_secs(at), ..act(request(operator)) }).collect();
    let nth = |index: usize| Some(acts[index].clone());
    let (endpoints, id) = (&bench.webhook_endpoints, endpoint.id);
    let [adding, rotating] = [request(operator), request(operator)];
    made(endpoints.add(endpoint.clone(), start, adding, nth(0)).await);
    repeated(endpoints.add(endpoint.clone(), start, adding, nth(1)).await);
    let changed = endpoints.change(id, url("other"), WebhookFilter::default(), nth(2)).await;
    assert!(changed.expect("the store answers").is_some());
    let second = secret(2);
    made(endpoints.rotate(id, second.clone(), at_secs(3), rotating, nth(3)).await);
    repeated(endpoints.rotate(id, secret(9), at_secs(4), rotating, nth(4)).await);
    endpoints.enable(id, at_secs(5), nth(5)).await.expect("the store answers");
    bench.hold_all(holder, at_secs(5)).await;
    let disabled = Some(Disabled { at: at_secs(5), why: WhyDisabled::Gone });
    assert!(bench.record(holder, id, &WebhookProgress { disabled, ..progress() }).await);
    endpoints.enable(id, at_secs(6), nth(6)).await.expect("the store answers");
    assert!(endpoints.remove(id, at_secs(7), nth(7)).await.expect("the store answers"));
    assert!(!endpoints.remove(id, at_secs(8), nth(8)).await.expect("the store answers"));

    let log =
        bench.audit_log.list(&AuditFilter::default(), PageRequest::first(10)).await.expect("the store answers").items;
    let noted: Vec<_> = log.iter().rev().map(|entry| entry.id).collect();
    assert_eq!(noted, [0, 2, 3, 6, 7].map(|index: usize| acts[index].id));
    assert!(log.iter().all(|entry| entry.target == AuditTarget::WebhookEndpoint(id.0)), "{log:?}");
    let values = |index: usize| {
        let changes = log[log.len() - 1 - index].changes.iter();
        changes.map(|it| (it.field.as_str(), it.before.as_deref(), it.after.as_deref())).collect::<Vec<_>>()
    };
    let (first, second) = (endpoint.secrets.current.id.to_string(), second.id.to_string());
    let added = values(0);
    assert_eq!(added[0], ("url_origin", None, Some("https://hooks.example.com")));
    assert_eq!(added[4], ("secret_id", None, Some(first.as_str())));
    let fields: Vec<&str> = values(1).into_iter().map(|(field, ..)| field).collect();
    assert_eq!(fields, ["url_digest", "types", "performance_ids"]);
    assert_eq!(values(2), [("secret_id", Some(first.as_str()), Some(second.as_str()))]);
    assert_eq!(values(3), [("disabled", Some("GONE"), None)]);
    assert!(values(4).iter().all(|(_, before, after)| before.is_some() && after.is_none()), "{log:?}");
    assert!(!format!("{log:?}").contains("other"), "a path may be a secret: {log:?}");
}
