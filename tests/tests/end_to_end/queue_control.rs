//! Operators control queues.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_proto::admin::v1::{
    self as admin, CreatePerformanceRequest, DrainQueueRequest, GetQueueRequest, PauseQueueRequest, QueuePhase,
    ResumeQueueRequest, SetQueueMessageRequest, UpdateQueueRequest, WatchQueueRequest,
};
use encore_proto::booking::v1::BestAvailable;
use encore_proto::catalog::v1::{GradePrice, ListPerformancesRequest};
use encore_proto::common::v1::Money;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_server::encore::Encore;
use encore_tests::fan::{Fan, next_status, reason, reason_metadata, request_id, violated_fields};
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, until};
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn one_inside() -> QueueSettings {
    QueueSettings { max_active: 1, ..QueueSettings::default() }
}

/// One active fan and one waiting fan.
async fn two(world: &World, performance: PerformanceId) -> (Fan, Fan) {
    let (mut inside, mut waiting) = (world.fan(0).await, world.fan(1).await);
    inside.enter(performance).await.expect("admitted");
    waiting.join(performance).await.expect("a queue token");
    (inside, waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_a_message_appear_on_every_stream_at_once() {
    let world = World::durable(2).await;
    let (operator, performance) = (world.operator().await, world.performance(Some(one_inside())).await);
    let (inside, fan) = two(&world, performance).await;
    let mut here = fan.watch().await.expect("a stream");
    let mut there = fan.on(world.channel(0)).watch().await.expect("a stream");
    let performance_id = performance.to_string();
    let pause = PauseQueueRequest { request_id: String::new(), performance_id: performance_id.clone() };
    let paused = operator.admin().pause_queue(operator.request(pause)).await.expect("paused").into_inner();
    assert_eq!(paused.settings.and_then(|settings| settings.paused), Some(true));
    let message = "Doors at eight".to_owned();
    let say = SetQueueMessageRequest { request_id: String::new(), performance_id: performance_id.clone(), message };
    operator.admin().set_queue_message(operator.request(say)).await.expect("the message is set");
    for frames in [&mut here, &mut there] {
        loop {
            if let QueueStatus::Waiting(waiting) = next_status(frames).await
                && waiting.paused
                && waiting.message == "Doors at eight"
            {
                break;
            }
        }
    }
    inside.leave().await.expect("left");
    let resume = ResumeQueueRequest { request_id: String::new(), performance_id };
    let resumed = operator.admin().resume_queue(operator.request(resume)).await.expect("resumed").into_inner();
    assert_eq!(resumed.settings.and_then(|settings| settings.paused), Some(false));
    until("admission", || async { matches!(fan.position().await, Ok(QueueStatus::Admitted(_))) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_queue_accepts_no_new_fans() {
    let world = World::durable(2).await;
    let (operator, performance) = (world.operator().await, world.performance(Some(one_inside())).await);
    let (inside, mut waiting) = two(&world, performance).await;
    let performance_id = performance.to_string();
    let drain = DrainQueueRequest { request_id: String::new(), performance_id: performance_id.clone() };
    operator.admin().drain_queue(operator.request(drain)).await.expect("draining");
    for turn in 0..2 {
        until("refusals", || async {
            let refused = world.fan(turn).await.join(performance).await;
            refused.is_err_and(|refusal| reason(&refusal) == "QUEUE_DRAINING")
        })
        .await;
    }
    assert_eq!(waiting.join(performance).await.expect("the token of the fan"), 2);
    inside.leave().await.expect("left");
    until("admission", || async { matches!(waiting.position().await, Ok(QueueStatus::Admitted(_))) }).await;
    let resume = ResumeQueueRequest { request_id: String::new(), performance_id };
    operator.admin().resume_queue(operator.request(resume)).await.expect("resumed");
    let newcomer = world.fan(0).await;
    until("a queue that accepts new fans", || async { newcomer.clone().join(performance).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_queue_reports_its_changes() {
    let world = World::durable(2).await;
    let (operator, performance) = (world.operator().await, world.performance(Some(one_inside())).await);
    let (inside, _waiting) = two(&world, performance).await;
    let performance_id = performance.to_string();
    let watch = WatchQueueRequest { performance_id: performance_id.clone() };
    let mut frames = operator.admin().watch_queue(operator.request(watch)).await.expect("a stream").into_inner();
    let mut next =
        async || frames.message().await.expect("a frame").expect("the stream goes on").queue.expect("a queue");
    let queue = loop {
        let queue = next().await;
        if queue.joined_total == 2 {
            break queue;
        }
    };
    assert_eq!((queue.phase(), queue.accepted_total, queue.active), (QueuePhase::Open, 1, 1));
    assert_eq!((queue.lanes[0].name.as_str(), queue.lanes[0].waiting, queue.seats_left), ("general", 1, 26));
    inside.leave().await.expect("left");
    let queue = loop {
        let queue = next().await;
        if queue.called_total == 2 {
            break queue;
        }
    };
    assert_eq!((queue.left_total, queue.lanes[0].waiting, queue.called), (1, 0, 1));
    world.clock.advance(Duration::from_secs(31));
    while next().await.no_shows_total != 1 {}
    let get = GetQueueRequest { performance_id };
    let got = operator.admin().get_queue(operator.request(get)).await.expect("a queue").into_inner();
    assert_eq!(got.queue.map(|queue| (queue.no_shows_total, queue.active)), Some((1, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_refused_by_field_and_change_nothing() {
    let world = World::durable(2).await;
    let (operator, performance) = (world.operator().await, world.performance(Some(one_inside())).await);
    let set = async |settings: admin::QueueSettings| {
        let (request_id, performance_id) = (String::new(), performance.to_string());
        let message = UpdateQueueRequest { request_id, performance_id, settings: Some(settings), ..Default::default() };
        operator.admin().update_queue(operator.request(message)).await.map(|set| set.into_inner().settings)
    };
    let long = Some(prost_types::Duration { seconds: 7_201, nanos: 0 });
    let refusal = set(admin::QueueSettings {
        max_active: Some(0),
        accept_window: long,
        active_duration: long,
        grace: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        hold_tries: Some(10_001),
        message: Some("x".repeat(281)),
        lanes: vec![admin::Lane { name: "General".into(), weight: 0 }],
        ..Default::default()
    })
    .await
    .expect_err("all out of bounds");
    let expected =
        ["max_active", "accept_window", "active_duration", "grace", "hold_tries", "message", "lanes[0].name"];
    assert_eq!(violated_fields(&refusal), expected.map(|field| format!("settings.{field}")));
    let moved = admin::QueueSettings {
        max_active: Some(9),
        lanes: vec![admin::Lane { name: "other".into(), weight: 1 }],
        ..Default::default()
    };
    assert_eq!(violated_fields(&set(moved).await.expect_err("other lanes")), ["settings.lanes"]);
    let unchanged = set(admin::QueueSettings::default()).await.expect("nothing to change").expect("settings");
    assert_eq!((unchanged.max_active, unchanged.lanes[0].name.as_str()), (Some(1), "general"));
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_can_be_limited_for_each_token() {
    let world = World::durable(2).await;
    let settings = QueueSettings { hold_tries: Some(2), ..QueueSettings::default() };
    let performance = world.performance(Some(settings)).await;
    let (mut fan, mut other) = (world.fan(0).await, world.fan(1).await);
    fan.enter(performance).await.expect("admitted");
    other.enter(performance).await.expect("admitted");
    other.hold(performance, &["S-A-1"]).await.expect("a hold");
    assert_eq!(reason(&fan.hold(performance, &["S-A-1"]).await.expect_err("taken")), "SEATS_TAKEN");
    let request_id = request_id();
    let held = fan.hold_as(&request_id, performance, &["S-A-2"]).await.expect("the second try");
    let refusal = fan.hold(performance, &["S-A-3"]).await.expect_err("the third");
    assert_eq!(reason(&refusal), "HOLD_TRIES_EXHAUSTED");
    assert_eq!(reason_metadata(&refusal, "tries").as_deref(), Some("2"));
    let repeated = fan.hold_as(&request_id, performance, &["S-A-2"]).await.expect("a repeat is answered");
    assert_eq!(repeated.reservation_id, held.reservation_id);
    other.hold(performance, &["S-A-3"]).await.expect("each fan has attempts of their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_repeat_nor_an_invalid_hold_costs_an_attempt() {
    for world in [World::durable(2).await, World::embedded().await] {
        let settings = QueueSettings { hold_tries: Some(4), ..QueueSettings::default() };
        let performance = world.performance(Some(settings)).await;
        let (mut fan, mut other) = (world.fan(0).await, world.fan(1).await);
        fan.enter(performance).await.expect("admitted");
        other.enter(performance).await.expect("admitted");
        other.hold(performance, &["S-A-1"]).await.expect("a hold");
        fan.top_up(50_000).await.expect("a credit");
        let (paid_id, request_id) = (request_id(), request_id());
        let paid = fan.hold_as(&paid_id, performance, &["S-A-7"]).await.expect("the first attempt");
        let held = fan.hold_as(&request_id, performance, &["S-A-2"]).await.expect("the second attempt");
        fan.pay(&paid.reservation_id).await.expect("the token stays active for the other hold");
        for _ in 0..4 {
            assert_eq!(fan.hold_as(&paid_id, performance, &["S-A-7"]).await.expect("a repeat"), paid);
            let again = fan.hold_as(&request_id, performance, &["S-A-2"]).await.expect("a repeat");
            assert_eq!(again, held);
            let refusal = fan.hold(performance, &["S-X-1"]).await.expect_err("no such seat");
            assert_eq!(reason(&refusal), "NOT_FOUND");
            let refusal = fan.hold_as(&request_id, performance, &["S-A-3"]).await.expect_err("another body");
            assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
            let nowhere = BestAvailable { count: 1, sections: vec!["Nowhere".into()], ..BestAvailable::default() };
            let refusal = fan.hold_best(performance, nowhere).await.expect_err("no such section");
            assert_eq!(reason(&refusal), "NOT_FOUND");
        }
        for attempt in ["the third attempt", "the fourth attempt"] {
            assert_eq!(reason(&fan.hold(performance, &["S-A-1"]).await.expect_err(attempt)), "SEATS_TAKEN");
        }
        let refusal = fan.hold(performance, &["S-A-1"]).await.expect_err("the fifth attempt");
        assert_eq!(reason(&refusal), "HOLD_TRIES_EXHAUSTED");
        let again = fan.hold_as(&request_id, performance, &["S-A-2"]).await.expect("a repeat");
        assert_eq!(again, held);
    }
}

/// An instance on the stores of a world, with ceilings of 20 admissions a second and a `max_active` of 500.
async fn with_ceilings(world: &World) -> Instance {
    let ceilings = QueueCeilings { rate_per_second: Some(20), max_active: Some(500) };
    Instance::start(Encore::new(world.ports.clone(), GuardedRpcs::default()).under(ceilings)).await
}

fn throughput(admissions_in_10s: u32, max_active: u32) -> admin::QueueSettings {
    let period = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let rate = Some(admin::QueueRate { admissions: admissions_in_10s, period });
    admin::QueueSettings { rate, max_active: Some(max_active), ..Default::default() }
}

/// The exceeded ceilings of a refusal: the field and the ceiling of the reason, and all fields.
fn exceeded(refusal: &Status) -> (String, String, Vec<String>) {
    assert_eq!((refusal.code(), reason(refusal).as_str()), (Code::FailedPrecondition, "QUEUE_CEILING_EXCEEDED"));
    let metadata = |key| reason_metadata(refusal, key).unwrap_or_default();
    let details = refusal.get_error_details();
    let violations = details.precondition_failure().map(|it| it.violations.as_slice()).unwrap_or_default();
    (metadata("field"), metadata("ceiling"), violations.iter().map(|violation| violation.subject.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_exceeds_a_ceiling_only_with_an_override() {
    let world = World::durable(1).await;
    let instance = with_ceilings(&world).await;
    let operator = world.operator().await.on(&instance.channel);
    let performance = world.performance(Some(one_inside())).await;
    let set = async |request_id: &str, settings: admin::QueueSettings, override_ceiling: bool| {
        let (request_id, performance_id) = (request_id.to_owned(), performance.to_string());
        let message = UpdateQueueRequest { request_id, performance_id, settings: Some(settings), override_ceiling };
        operator.admin().update_queue(operator.request(message)).await.map(|set| set.into_inner().settings)
    };
    let stored = async || world.ports.catalog.queue(performance).await.expect("a store").expect("a queue").settings;
    let (before, request) = (stored().await, request_id());
    for (settings, field, ceiling, all) in [
        (throughput(201, 500), "settings.rate", "20", vec!["settings.rate"]),
        (throughput(200, 501), "settings.max_active", "500", vec!["settings.max_active"]),
        (throughput(201, 501), "settings.rate", "20", vec!["settings.rate", "settings.max_active"]),
    ] {
        let refused = exceeded(&set(&request, settings, false).await.expect_err("a ceiling is exceeded"));
        assert_eq!(
            (refused.0.as_str(), refused.1.as_str(), refused.2),
            (field, ceiling, all.into_iter().map(Into::into).collect())
        );
        assert_eq!(stored().await, before, "a refusal changes nothing");
    }
    let at_the_ceilings =
        set("", throughput(200, 500), false).await.expect("no ceiling is exceeded").expect("settings");
    assert_eq!((at_the_ceilings.rate, at_the_ceilings.max_active), (throughput(200, 500).rate, Some(500)));
    let overridden = set(&request, throughput(201, 501), true).await.expect("an override").expect("settings");
    assert_eq!((overridden.rate, overridden.max_active), (throughput(201, 501).rate, Some(501)));
    let message = admin::QueueSettings { message: Some("Doors at eight".into()), ..Default::default() };
    let unchanged =
        set("", message, false).await.expect("settings that are not set are not checked").expect("settings");
    assert_eq!(unchanged.max_active, Some(501));
}

/// A performance to create, at a venue and of a concert that exist.
async fn a_performance(world: &World) -> CreatePerformanceRequest {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    world.ports.catalog.add_venue(venue.clone(), None).await.expect("a new venue");
    world.ports.catalog.add_concert(concert.clone(), None).await.expect("a new concert");
    let at = |days: i64| {
        let seconds = fixtures::start().timestamp() + days * 86_400;
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    };
    let price = |grade: &str| GradePrice {
        grade: grade.to_owned(),
        price: Some(Money { amount_minor: 4_200, currency_code: "EUR".into() }),
    };
    CreatePerformanceRequest {
        concert_id: concert.id.to_string(),
        venue_id: venue.id.to_string(),
        starts_at: at(1),
        on_sale_opens_at: at(0),
        on_sale_closes_at: at(1),
        prices: vec![price("Front"), price("Rear")],
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_although_a_ceiling_was_set_since() {
    for world in [World::durable(1).await, World::embedded().await] {
        let [creating, changing] = [(); 2].map(|()| request_id());
        let operator = world.operator().await;
        let queue = Some(throughput(201, 501));
        let message = CreatePerformanceRequest { request_id: creating.clone(), queue, ..a_performance(&world).await };
        let create = async |operator: &Fan| {
            let created = operator.admin().create_performance(operator.request(message.clone())).await;
            created.map(|created| created.into_inner().performance.expect("a performance"))
        };
        let created = create(&operator).await.expect("no ceilings");
        let change = async |operator: &Fan, max_active| {
            let settings = Some(throughput(202, max_active));
            let (request_id, performance_id) = (changing.clone(), created.performance_id.clone());
            let message = UpdateQueueRequest { request_id, performance_id, settings, override_ceiling: false };
            operator.admin().update_queue(operator.request(message)).await.map(|set| set.into_inner().settings)
        };
        let changed = change(&operator, 502).await.expect("no ceilings");

        let instance = with_ceilings(&world).await;
        let operator = operator.on(&instance.channel);
        assert_eq!(create(&operator).await.expect("a repeat"), created);
        assert_eq!(change(&operator, 502).await.expect("a repeat"), changed);
        let refusal = change(&operator, 503).await.expect_err("another body");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_queue_exceeds_a_ceiling_only_with_an_override() {
    let world = World::durable(1).await;
    let instance = with_ceilings(&world).await;
    let operator = world.operator().await.on(&instance.channel);
    let performance = a_performance(&world).await;
    let create = async |queue: admin::QueueSettings, override_ceiling: bool| {
        let message = CreatePerformanceRequest { queue: Some(queue), override_ceiling, ..performance.clone() };
        operator.admin().create_performance(operator.request(message)).await
    };
    let created = async || {
        let list = ListPerformancesRequest { concert_id: performance.concert_id.clone(), ..Default::default() };
        let listed = operator.catalog().list_performances(operator.request(list)).await.expect("a page").into_inner();
        listed.performances.len()
    };
    let refusal = create(throughput(201, 501), false).await.expect_err("both ceilings are exceeded");
    let all = vec!["queue.rate".to_owned(), "queue.max_active".to_owned()];
    assert_eq!(exceeded(&refusal), ("queue.rate".into(), "20".into(), all));
    assert_eq!(created().await, 0, "a refusal changes nothing");
    create(throughput(200, 500), false).await.expect("no ceiling is exceeded");
    create(throughput(201, 501), true).await.expect("an override");
    assert_eq!(created().await, 2);
}
