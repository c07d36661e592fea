use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use encore_domain::event::Event;
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::EndpointId;
use encore_events::{HttpWebhookSender, Reach};
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_private_stores::localstripe;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::records_service_client::RecordsServiceClient;
use encore_proto::admin::v1::webhook_service_client::WebhookServiceClient;
use encore_proto::admin::v1::{WebhookDeliveryState, WebhookEndpointState};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_server::system::{SystemClock, SystemIds};
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::in_memory::Instance;
use encore_tests::webhook_receiver::{Answer, Receiver};
use encore_tests::world::{World, access_token, embedded_ports, until};
use tonic::Code;
use tonic::transport::Channel;

fn client(operator: &Fan) -> WebhookServiceClient<Channel> {
    WebhookServiceClient::new(operator.channel.clone())
}

fn create(url: &str) -> pb::CreateEndpointRequest {
    pb::CreateEndpointRequest { request_id: request_id(), url: url.to_owned(), filter: None }
}

async fn created(operator: &Fan, message: &pb::CreateEndpointRequest) -> (pb::WebhookEndpoint, String) {
    let created = client(operator).create_endpoint(operator.request(message.clone())).await.expect("an endpoint");
    let pb::CreateEndpointResponse { endpoint, secret } = created.into_inner();
    (endpoint.expect("an endpoint"), secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_keep_endpoints() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let performance = world.performance(None).await.to_string();
    let types = vec!["encore.events.v1.ReservationConfirmed".to_owned()];
    let filter = Some(pb::WebhookFilter { types, performance_ids: vec![performance] });
    let create = pb::CreateEndpointRequest { filter: filter.clone(), ..create("https://hooks.example.com/a") };
    let (endpoint, secret) = created(&operator, &create).await;
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{}", secret.len());
    assert_eq!(created(&operator, &create).await, (endpoint.clone(), secret.clone()), "a repeat");
    assert_eq!((endpoint.url.as_str(), &endpoint.filter), ("https://hooks.example.com/a", &filter));
    assert_eq!(endpoint.state(), WebhookEndpointState::Enabled);

    let id = || endpoint.endpoint_id.clone();
    let update =
        pb::UpdateEndpointRequest { endpoint_id: id(), url: "https://hooks.example.com/b".into(), filter: None };
    let updated = client(&operator).update_endpoint(operator.request(update)).await.expect("a change").into_inner();
    let updated = updated.endpoint.expect("the endpoint");
    assert_eq!(updated.filter, Some(pb::WebhookFilter::default()));
    let get = || operator.request(pb::GetEndpointRequest { endpoint_id: endpoint.endpoint_id.clone() });
    let got = client(&operator).get_endpoint(get()).await.expect("the endpoint").into_inner();
    assert_eq!(got.endpoint.as_ref(), Some(&updated));

    let rotate = pb::RotateSecretRequest { request_id: request_id(), endpoint_id: id() };
    let rotate = async || {
        let rotated = client(&operator).rotate_secret(operator.request(rotate.clone())).await.expect("a rotation");
        rotated.into_inner()
    };
    let rotated = rotate().await;
    assert!(rotated.secret.starts_with("whsec_") && rotated.secret != secret);
    assert!(rotated.endpoint.as_ref().is_some_and(|it| it.previous_secret_ends_at.is_some()));
    assert_eq!(rotate().await, rotated, "a repeat rotates once");

    let (other, _) = created(&operator, &self::create("https://hooks.example.com/c")).await;
    let list = |page_token| operator.request(pb::ListEndpointsRequest { page_size: 1, page_token });
    let first = client(&operator).list_endpoints(list(String::new())).await.expect("a page").into_inner();
    let second = client(&operator).list_endpoints(list(first.next_page_token)).await.expect("a page").into_inner();
    let listed: Vec<_> = first.endpoints.iter().chain(&second.endpoints).map(|it| it.endpoint_id.clone()).collect();
    assert_eq!((listed, second.next_page_token.as_str()), (vec![id(), other.endpoint_id], ""));

    let delete = || operator.request(pb::DeleteEndpointRequest { endpoint_id: endpoint.endpoint_id.clone() });
    client(&operator).delete_endpoint(delete()).await.expect("it is removed");
    let again = client(&operator).delete_endpoint(delete()).await.expect_err("it is gone");
    let gone = client(&operator).get_endpoint(get()).await.expect_err("it is gone");
    assert_eq!((reason(&again), reason(&gone)), ("NOT_FOUND".into(), "NOT_FOUND".into()));

    let message = pb::ListAuditEntriesRequest { target_id: id(), ..pb::ListAuditEntriesRequest::default() };
    let mut records = RecordsServiceClient::new(operator.channel.clone());
    let noted =
        records.list_audit_entries(operator.request(message)).await.expect("the audit log").into_inner().entries;
    let rpcs: Vec<&str> = noted.iter().rev().map(|entry| entry.rpc.as_str()).collect();
    let expected = ["CreateEndpoint", "UpdateEndpoint", "RotateSecret", "DeleteEndpoint"];
    assert_eq!(rpcs, expected.map(|rpc| format!("WebhookService.{rpc}")));
    assert!(noted.iter().all(|entry| entry.target_kind() == pb::AuditTargetKind::WebhookEndpoint), "{noted:?}");
    let printed = format!("{noted:?}");
    assert!(![secret.as_str(), rotated.secret.as_str()].iter().any(|secret| printed.contains(secret)), "{printed}");
}

#[tokio::test]
async fn what_cannot_be_an_endpoint_is_refused() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    for url in
        ["", "hooks", "http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/", "https://a:b@example.com/"]
    {
        let refused = client(&operator).create_endpoint(operator.request(create(url))).await.expect_err("no endpoint");
        assert_eq!((refused.code(), violated_fields(&refused)), (Code::InvalidArgument, vec!["url".into()]), "{url}");
    }
    let filter = |types: &[&str], ids: &[&str]| {
        let (types, performance_ids) = (types.iter().map(ToString::to_string), ids.iter().map(ToString::to_string));
        Some(pb::WebhookFilter { types: types.collect(), performance_ids: performance_ids.collect() })
    };
    let message = pb::CreateEndpointRequest {
        request_id: "7".into(),
        filter: filter(&["encore.events.v1.HoldPlaced", "HoldPlaced"], &["7"]),
        ..create("https://hooks.example.com/")
    };
    let refused = client(&operator).create_endpoint(operator.request(message)).await.expect_err("no endpoint");
    assert_eq!(violated_fields(&refused), ["request_id", "filter.types[1]", "filter.performance_ids[0]"]);
    let unknown = fixtures::id::<EndpointId>().to_string();
    let message =
        pb::CreateEndpointRequest { filter: filter(&[], &[&unknown]), ..create("https://hooks.example.com/") };
    let refused = client(&operator).create_endpoint(operator.request(message)).await.expect_err("no endpoint");
    assert_eq!(reason(&refused), "NOT_FOUND");
    let since = Some(prost_types::Timestamp { seconds: world.now().timestamp() - 31 * 24 * 3_600, nanos: 0 });
    let replay = pb::ReplayEventsRequest { endpoint_id: unknown, since };
    let refused = client(&operator).replay_events(operator.request(replay)).await.expect_err("no replay");
    assert_eq!(violated_fields(&refused), ["since"]);
}

/// An embedded instance that sends webhooks to this machine, and an operator of it.
async fn instance(ports: Ports) -> (Instance, Ports, Fan) {
    let ports = Ports { webhook_sender: Arc::new(HttpWebhookSender::new(Reach::Anywhere)), ..ports };
    let instance = Instance::start(Encore::new(ports.clone(), GuardedRpcs::default())).await;
    let mut account = fixtures::account();
    account.user.role = Role::Operator;
    let user = account.user.id;
    ports.users.add_all(vec![account]).await.expect("a user");
    let access_token = access_token(&ports, Caller { user, role: Role::Operator });
    let operator = Fan { user, access_token, queue_token: String::new(), channel: instance.channel.clone() };
    (instance, ports, operator)
}

async fn top_up(ports: &Ports, fan: &Fan) -> String {
    let top_up = fixtures::top_up(fan.user, fixtures::euros(1));
    let entry = ports.wallets.top_up(top_up, fixtures::request(fan.user)).await.expect("a top-up").into_inner();
    Event::WalletToppedUp { user: fan.user, entry }.id()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_was_delivered_and_send_it_again() {
    let (_instance, ports, operator) = instance(embedded_ports(Arc::default())).await;
    let receiver = Receiver::start().await;
    let (endpoint, _) = created(&operator, &create(&receiver.url)).await;
    let id = || endpoint.endpoint_id.clone();
    let first = top_up(&ports, &operator).await;
    until("the first event", || async { receiver.ids() == [first.clone()] }).await;
    receiver.answer(Answer::Status(404));
    let second = top_up(&ports, &operator).await;
    let list = async |only_undelivered| {
        let list = pb::ListDeliveriesRequest { endpoint_id: id(), only_undelivered, ..Default::default() };
        client(&operator).list_deliveries(operator.request(list)).await.expect("a page").into_inner().deliveries
    };
    until("both deliveries", || async { list(false).await.len() == 2 }).await;
    let failed = list(true).await;
    let [failed] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!((failed.event_id.as_str(), failed.status, failed.tries), (second.as_str(), 404, 1));
    assert_eq!(
        (failed.state(), failed.r#type.as_str()),
        (WebhookDeliveryState::Waiting, "encore.events.v1.WalletToppedUp")
    );
    assert!(failed.next_try_at.is_some() && failed.failure.is_empty());

    receiver.answer(Answer::Status(200));
    for event_id in [&first, &second] {
        let resend = pb::ResendDeliveryRequest { endpoint_id: id(), event_id: event_id.clone() };
        client(&operator).resend_delivery(operator.request(resend)).await.expect("it was sent before");
    }
    until("both once more", || async { list(true).await.is_empty() && receiver.received().len() == 4 }).await;
    let resend = pb::ResendDeliveryRequest { endpoint_id: id(), event_id: "wallet.topped_up/7".into() };
    let refused = client(&operator).resend_delivery(operator.request(resend)).await.expect_err("it was never sent");
    assert_eq!(reason(&refused), "NOT_FOUND");

    let since = Some(prost_types::Timestamp { seconds: fixtures::start().timestamp(), nanos: 0 });
    let replay = pb::ReplayEventsRequest { endpoint_id: id(), since };
    let replayed = client(&operator).replay_events(operator.request(replay)).await.expect("a replay").into_inner();
    assert_eq!(replayed.since, since);
    until("all once more", || async { receiver.received().len() == 6 }).await;
}

/// The receiver in Python, which is killed when this is dropped.
struct PythonReceiver(Child);

impl Drop for PythonReceiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_of_standard_webhooks_for_python_verifies_what_is_sent() {
    let python = localstripe::python().expect("the Python packages are not installed: run `cargo xtask test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/standard_webhooks.py");
    let mut started = Command::new(python);
    let started = started.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut receiver = PythonReceiver(started);
    let mut lines = BufReader::new(receiver.0.stdout.take().expect("its output")).lines();
    let mut line = move || lines.next().expect("a line").expect("text");
    let port = line();

    // The library refuses what is older than five minutes.
    let ports =
        Ports { clock: Arc::new(SystemClock::default()), ids: Arc::new(SystemIds), ..embedded_ports(Arc::default()) };
    let (_instance, ports, operator) = instance(ports).await;
    let (endpoint, secret) = created(&operator, &create(&format!("http://127.0.0.1:{port}/hooks"))).await;
    writeln!(receiver.0.stdin.take().expect("its input"), "{secret}").expect("it is told the secret");
    let first = top_up(&ports, &operator).await;
    let told = tokio::task::spawn_blocking(move || (line(), line));
    let (told, mut line) = told.await.expect("a line");
    assert_eq!(told, first);

    // While the secret is rotated, the old one verifies, too.
    let rotate = pb::RotateSecretRequest { request_id: request_id(), endpoint_id: endpoint.endpoint_id.clone() };
    client(&operator).rotate_secret(operator.request(rotate.clone())).await.expect("a rotation");
    let second = top_up(&ports, &operator).await;
    let told = tokio::task::spawn_blocking(move || (line(), line));
    let (told, line) = told.await.expect("a line");
    assert_eq!(told, second);

    // After another rotation it does not.
    let rotate = pb::RotateSecretRequest { request_id: request_id(), ..rotate };
    client(&operator).rotate_secret(operator.request(rotate)).await.expect("a rotation");
    top_up(&ports, &operator).await;
    let told = tokio::task::spawn_blocking(line).await.expect("a line");
    assert_eq!(told, "refused");
}
