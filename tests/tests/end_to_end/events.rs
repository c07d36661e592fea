use std::time::Duration;

use encore_domain::event::{Event, OutboxPlace};
use encore_domain::ports::Clock;
use encore_domain::queue::QueueSettings;
use encore_payment_gateway::{APPROVE, DECLINE};
use encore_port_tests::fixtures;
use encore_proto::admin::v1 as admin;
use encore_proto::events::v1::event::Data;
use encore_proto::events::v1::event_service_client::EventServiceClient;
use encore_proto::events::v1::{
    self as events, EventFilter, ListEventsRequest, ListEventsResponse, WatchEventsRequest,
};
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{Role, SignUpRequest};
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::{World, until};
use tonic::{Code, Status};

async fn list(operator: &Fan, message: ListEventsRequest) -> Result<ListEventsResponse, Status> {
    let mut events = EventServiceClient::new(operator.channel.clone());
    Ok(events.list_events(operator.request(message)).await?.into_inner())
}

fn of_type(name: &str) -> EventFilter {
    EventFilter { types: vec![format!("encore.events.v1.{name}")], performance_id: String::new() }
}

/// A world in which two holds were placed, and a wallet was topped up between them.
async fn world_with_events() -> (World, Fan, Vec<String>) {
    let world = World::durable(1).await;
    let operator = world.operator().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let mut ids = Vec::new();
    for seat in ["S-A-1", "S-A-2"] {
        let held = fan.hold(performance, &[seat]).await.expect("free seats");
        ids.push(format!("booking.hold_placed/{}", held.reservation_id));
        let top_up = fixtures::top_up(fan.user, fixtures::euros(1));
        let top_up = world.ports.wallets.top_up(top_up, fixtures::request(fan.user)).await.expect("a top-up");
        ids.push(Event::WalletToppedUp { user: fan.user, entry: top_up.into_inner() }.id());
    }
    world.ports.outbox.close_window().await.expect("the store answers");
    (world, operator, ids)
}

#[tokio::test]
async fn operators_list_events_page_by_page() {
    let (_world, operator, ids) = world_with_events().await;
    let mut cursor = String::new();
    let mut listed = Vec::new();
    loop {
        let page = list(&operator, ListEventsRequest { page_size: 3, cursor, filter: None }).await.expect("a page");
        listed.extend(page.events);
        cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(listed.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
    let first = &listed[0];
    assert_eq!(first.r#type, "encore.events.v1.HoldPlaced");
    assert!(format!("{:?}", first.data).contains("S-A-1"), "seats have names: {first:?}");

    let page = ListEventsRequest { page_size: 0, cursor: String::new(), filter: Some(of_type("HoldPlaced")) };
    let holds = list(&operator, page).await.expect("a page").events;
    assert_eq!(holds.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), [&ids[0], &ids[2]]);
    let performance_id = holds[0].partition_key.clone();
    let of_performance = |performance_id| Some(EventFilter { types: vec![], performance_id });
    let page = ListEventsRequest { filter: of_performance(performance_id), ..ListEventsRequest::default() };
    assert_eq!(list(&operator, page).await.expect("a page").events.len(), 2);
    let other = fixtures::id::<encore_domain::ids::PerformanceId>().to_string();
    let page = ListEventsRequest { filter: of_performance(other), ..ListEventsRequest::default() };
    assert_eq!(list(&operator, page).await.expect("a page").events, []);
}

#[tokio::test]
async fn a_watcher_goes_on_from_its_cursor() {
    let (world, operator, ids) = world_with_events().await;
    let mut events = EventServiceClient::new(operator.channel.clone());
    let cursor = "0-0".to_owned();
    let watch = WatchEventsRequest { cursor, filter: Some(of_type("WalletToppedUp")) };
    let mut frames = events.watch_events(operator.request(watch)).await.expect("a stream").into_inner();
    let first = frames.message().await.expect("a frame").expect("the stream goes on");
    assert_eq!(first.event.expect("an event").id, ids[1]);

    let fan = world.fan(0).await;
    let top_up = fixtures::top_up(fan.user, fixtures::euros(1));
    let top_up = world.ports.wallets.top_up(top_up, fixtures::request(fan.user)).await.expect("a top-up").into_inner();
    let later = Event::WalletToppedUp { user: fan.user, entry: top_up }.id();
    let watch = WatchEventsRequest { cursor: first.cursor, filter: Some(of_type("WalletToppedUp")) };
    let mut frames = events.watch_events(operator.request(watch)).await.expect("a stream").into_inner();
    for expected in [&ids[3], &later] {
        let frame = frames.message().await.expect("a frame").expect("the stream goes on");
        assert_eq!(&frame.event.expect("an event").id, expected);
    }
    assert_ne!(world.ports.outbox.end().await.expect("the store answers"), OutboxPlace::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_users_and_queues_are_events_without_personal_data() {
    let world = World::durable(1).await;
    let (operator, performance) = (world.operator().await, world.performance(Some(QueueSettings::default())).await);
    let signing_up = SignUpRequest {
        request_id: request_id(),
        email: "ada@example.com".into(),
        password: "correct horse".into(),
        display_name: "Ada Lovelace".into(),
        ..SignUpRequest::default()
    };
    let mut identity = IdentityServiceClient::new(world.channel(0).clone());
    let user_id =
        identity.sign_up(signing_up.clone()).await.expect("a new user").into_inner().user.expect("it").user_id;
    let promote = admin::SetUserRoleRequest { user_id: user_id.clone(), role: Role::Support.into() };
    operator.admin().set_user_role(operator.request(promote)).await.expect("a role");
    let performance_id = performance.to_string();
    let pause = admin::PauseQueueRequest { request_id: request_id(), performance_id: performance_id.clone() };
    operator.admin().pause_queue(operator.request(pause.clone())).await.expect("paused");
    let opened = opening(&world, &operator, &performance_id).await;
    assert_eq!(
        (&opened.partition_key, opened.id.as_str()),
        (&performance_id, &*format!("queue.opened/{performance_id}"))
    );

    let mut listed = list(&operator, ListEventsRequest::default()).await.expect("a page").events;
    listed.retain(|event| event.id != opened.id);
    let [signed_up, role_changed, paused] = listed.as_slice() else { panic!("{listed:?}") };
    let keys = [&signed_up.partition_key, &role_changed.partition_key, &paused.partition_key];
    assert_eq!(keys, [&user_id, &user_id, &performance_id]);
    assert_eq!(
        (signed_up.subject.as_str(), &paused.subject),
        (&*format!("users/{user_id}"), &format!("performances/{performance_id}"))
    );
    let Some(Data::UserSignedUp(events::UserSignedUp { request_id, .. })) = &signed_up.data else {
        panic!("{signed_up:?}")
    };
    assert_eq!(request_id, &signing_up.request_id);
    let Some(Data::UserRoleChanged(changed)) = &role_changed.data else { panic!("{role_changed:?}") };
    assert_eq!((changed.previous_role(), changed.role()), (Role::Fan, Role::Support));
    let Some(Data::QueuePaused(events::QueuePaused { settings, act, .. })) = &paused.data else { panic!("{paused:?}") };
    assert_eq!(settings.as_ref().and_then(|settings| settings.paused), Some(true));
    let act = act.as_ref().expect("who paused it");
    assert_eq!((&act.operator_id, &act.request_id), (&operator.user.to_string(), &pause.request_id));
    assert!(!format!("{listed:?}").contains("ada@") && !format!("{listed:?}").contains("Ada"), "{listed:?}");
    let of_performance = EventFilter { performance_id, ..of_type("QueuePaused") };
    let page = ListEventsRequest { filter: Some(of_performance), ..ListEventsRequest::default() };
    assert_eq!(&list(&operator, page).await.expect("a page").events, std::slice::from_ref(paused));
}

/// The event of the opening of a queue, which the workers note at their next step.
async fn opening(world: &World, operator: &Fan, performance_id: &str) -> events::Event {
    let filter = EventFilter { performance_id: performance_id.to_owned(), ..of_type("QueueOpened") };
    let find = async || {
        world.ports.outbox.close_window().await.expect("the store answers");
        let page = ListEventsRequest { filter: Some(filter.clone()), ..ListEventsRequest::default() };
        list(operator, page).await.expect("a page").events
    };
    until("the opening of the queue", || async { !find().await.is_empty() }).await;
    let opened = find().await;
    let [opened] = opened.as_slice() else { panic!("it is noted once: {opened:?}") };
    opened.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opening_of_a_pre_queue_is_an_event() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let performance = world.drawn_performance(QueueSettings::default(), Duration::from_mins(10)).await;
    let opened = opening(&world, &operator, &performance.to_string()).await;
    let Some(Data::QueueOpened(data)) = &opened.data else { panic!("{opened:?}") };
    let seconds = |at: Option<prost_types::Timestamp>| at.map(|at| at.seconds);
    let now = world.clock.now().timestamp();
    assert!(data.is_pre_queue);
    assert_eq!((seconds(data.opened_at), seconds(data.calls_from)), (Some(now), Some(now + 600)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_payment_by_card_are_events() {
    for world in [World::durable(1).await, World::embedded().await] {
        let (operator, performance) = (world.operator().await, world.performance(None).await);
        let fan = world.fan(0).await;
        let held = fan.hold(performance, &["S-A-1"]).await.expect("a free seat");
        for token in [DECLINE, APPROVE] {
            fan.pay_by_card(&held.reservation_id, token).await.expect("an answer");
        }
        world.ports.outbox.close_window().await.expect("the store answers");
        let filter = EventFilter { types: vec![], performance_id: performance.to_string() };
        let page = ListEventsRequest { filter: Some(filter), ..ListEventsRequest::default() };
        let listed = list(&operator, page).await.expect("a page").events;
        let types: Vec<&str> = listed.iter().map(|it| it.r#type.trim_start_matches("encore.events.v1.")).collect();
        let declined = ["HoldChanged", "HoldChanged", "PaymentFailed"];
        let paid = ["HoldChanged", "PaymentAuthorized", "ReservationConfirmed", "PaymentCaptured"];
        assert_eq!(types, [["HoldPlaced"].as_slice(), &declined, &paid].concat());
        let Some(Data::PaymentFailed(failed)) = &listed[3].data else { panic!("{listed:?}") };
        assert_eq!((failed.failure(), failed.attempt), (events::PaymentFailure::Declined, 1));
        assert_eq!(failed.reservation_id, held.reservation_id);
        let Some(Data::PaymentCaptured(captured)) = &listed[7].data else { panic!("{listed:?}") };
        assert_eq!((&captured.payment_id, captured.attempt), (&failed.payment_id, 2));
        assert_eq!(listed[7].subject, format!("payments/{}", failed.payment_id));
        assert!(!format!("{listed:?}").contains(APPROVE), "no token of a card: {listed:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_cursor_or_a_filter_is_refused() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let filter = EventFilter { types: vec!["encore.events.v1.HoldVanished".into()], performance_id: "7".into() };
    let message = ListEventsRequest { page_size: 101, cursor: "yesterday".into(), filter: Some(filter) };
    let refusal = list(&operator, message).await.expect_err("nothing is valid");
    assert_eq!(violated_fields(&refusal), ["page_size", "cursor", "filter.types[0]", "filter.performance_id"]);
    let fan = world.fan(0).await;
    let refusal = list(&fan, ListEventsRequest::default()).await.expect_err("not an operator");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::PermissionDenied, "ROLE_NOT_ALLOWED"));
}
