use std::net::TcpListener;
use std::time::Duration;

use encore_domain::event::{Event, OutboxPlace};
use encore_domain::identity::session::Secret;
use encore_domain::ports::WebhookSender;
use encore_domain::webhook::{
    DeliveryState, EndpointUrl, WebhookAnswer, WebhookDelivery, WebhookFilter, WebhookRequest, WhyDisabled,
};
use encore_event_format::from_json_line;
use encore_events::{HttpWebhookSender, Reach};
use encore_port_tests::fixtures;
use encore_tests::webhook_receiver::{Answer, Receiver};
use encore_tests::world::until;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::webhook_bench::{Bench, deliver};

const FIRST_PAUSE: Duration = Duration::from_secs(7);

fn is_delivered(delivery: &WebhookDelivery) -> bool {
    delivery.state == DeliveryState::Delivered
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_once_as_json_that_is_signed() {
    for bench in Bench::both().await {
        let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
        bench.event().await;
        let (endpoint, _) = bench.add(&receiver).await;
        let ids = bench.events(3).await;
        deliver(&deliverer).await;
        deliver(&deliverer).await;
        assert_eq!(receiver.ids(), ids, "what came before the endpoint is not sent");
        let received = &receiver.received()[0];
        let event = from_json_line(&received.body).expect("a CloudEvent");
        assert_eq!((event.id.as_str(), event.data_type.as_str()), (received.id(), "encore.events.v1.WalletToppedUp"));
        let headers = ["content-type", "webhook-timestamp"].map(|name| received.header(name));
        assert_eq!(headers, ["application/json", &fixtures::start().timestamp().to_string()]);
        assert!(received.header("webhook-signature").starts_with("v1,"));
        let deliveries = bench.deliveries(endpoint).await;
        assert!(
            deliveries.len() == 3 && deliveries.iter().all(|it| is_delivered(it) && it.tries == 1),
            "{deliveries:?}"
        );
        assert_eq!(bench.endpoint(endpoint).await.failing_since, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_events_that_the_endpoint_wants_are_sent() {
    for bench in Bench::both().await {
        let deliverer = bench.deliverer();
        let catalog = &bench.ports.catalog;
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        catalog.add_venue(venue, None).await.expect("a venue");
        catalog.add_concert(concert, None).await.expect("a concert");
        catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        let [by_kind, by_performance] = [Receiver::start().await, Receiver::start().await];
        let kinds = WebhookFilter { kinds: vec!["wallet.topped_up".into()], performances: vec![] };
        bench.add_for(&by_kind, kinds).await;
        let performances = WebhookFilter { kinds: vec![], performances: vec![performance.id] };
        bench.add_for(&by_performance, performances).await;
        let hold = fixtures::hold(bench.operator, &performance, &[0]);
        let request = fixtures::request(bench.operator);
        bench.ports.reservations.place(hold.clone(), 6, None, request).await.expect("a hold");
        let top_up = bench.event().await;
        deliver(&deliverer).await;
        assert_eq!(by_kind.ids(), [top_up]);
        assert_eq!(by_performance.ids(), [Event::HoldPlaced(hold).id()]);
        assert!(by_performance.received()[0].body.contains("S-A-1"), "seats are named");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_sent_again_and_then_no_more() {
    for bench in Bench::both().await {
        let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
        let (endpoint, _) = bench.add(&receiver).await;
        receiver.answer_next(Answer::Status(500));
        let id = bench.event().await;
        deliver(&deliverer).await;
        deliver(&deliverer).await;
        assert_eq!(receiver.ids(), std::slice::from_ref(&id), "it is not time to try again");
        let deliveries = bench.deliveries(endpoint).await;
        assert_eq!(deliveries[0].answer, WebhookAnswer::Status(500));
        assert_eq!(bench.endpoint(endpoint).await.failing_since, Some(fixtures::start()));
        bench.clock.advance(FIRST_PAUSE);
        deliver(&deliverer).await;
        assert_eq!(receiver.ids(), [id.clone(), id]);
        let deliveries = bench.deliveries(endpoint).await;
        assert!(deliveries.len() == 1 && is_delivered(&deliveries[0]) && deliveries[0].tries == 2, "{deliveries:?}");
        assert_eq!(bench.endpoint(endpoint).await.failing_since, None);
        bench.clock.advance(Duration::from_hours(2));
        deliver(&deliverer).await;
        assert_eq!(receiver.received().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_sent_nothing_until_it_is_enabled() {
    for bench in Bench::both().await {
        let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
        let (endpoint, _) = bench.add(&receiver).await;
        receiver.answer_next(Answer::Status(410));
        let first = bench.event().await;
        deliver(&deliverer).await;
        let disabled = bench.endpoint(endpoint).await.disabled.expect("it is disabled");
        assert_eq!((disabled.why, disabled.at), (WhyDisabled::Gone, fixtures::start()));
        let second = bench.event().await;
        bench.clock.advance(Duration::from_hours(1));
        deliver(&deliverer).await;
        assert_eq!(receiver.ids(), std::slice::from_ref(&first));
        let (enabled, missed) = bench.webhooks().enable(bench.call(), endpoint).await.expect("the endpoint");
        assert_eq!((enabled.disabled, missed), (None, None));
        deliver(&deliverer).await;
        let mut expected = vec![first.clone(), first, second];
        expected.sort_unstable();
        assert_eq!(receiver.ids(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_takes_nothing_for_three_days_is_disabled() {
    for bench in Bench::both().await {
        let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
        let (endpoint, _) = bench.add(&receiver).await;
        receiver.answer(Answer::Status(503));
        bench.event().await;
        let mut steps = 0;
        while bench.endpoint(endpoint).await.disabled.is_none() {
            deliver(&deliverer).await;
            bench.clock.advance(Duration::from_mins(30));
            steps += 1;
            assert!(steps <= 2 * 80, "it is never disabled");
        }
        let disabled = bench.endpoint(endpoint).await.disabled.expect("it is disabled");
        assert_eq!(disabled.why, WhyDisabled::Failing);
        assert!(disabled.at >= fixtures::start() + Duration::from_hours(72), "{disabled:?}");
        let tries = receiver.received().len();
        assert!((40..=80).contains(&tries), "{tries}");
        assert_eq!(bench.deliveries(endpoint).await[0].state, DeliveryState::GivenUp);

        // It missed what came after its first failure, so it is told that an event of the first day was deleted.
        let page = bench.ports.outbox.after(OutboxPlace::default(), 10).await.expect("the store answers");
        let next_day = fixtures::start() + Duration::from_hours(24);
        bench.event().await;
        bench.ports.outbox.forget(page.end, next_day, 100).await.expect("the store answers");
        let (_, missed) = bench.webhooks().enable(bench.call(), endpoint).await.expect("the endpoint");
        assert_eq!(missed, Some(next_day));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let bench = Bench::embedded().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let (endpoint, _) = bench.add(&receiver).await;
    receiver.answer(Answer::RedirectTo(elsewhere.url.clone()));
    bench.event().await;
    deliver(&bench.deliverer()).await;
    assert_eq!((receiver.received().len(), elsewhere.received().len()), (1, 0));
    assert_eq!(bench.deliveries(endpoint).await[0].answer, WebhookAnswer::Status(307));
}

#[tokio::test]
async fn nothing_is_sent_to_an_address_that_is_not_public() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let sender = HttpWebhookSender::new(Reach::Public);
    // A name is resolved when it is connected to, and an address is not.
    for host in ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let request = WebhookRequest {
            url: EndpointUrl::parse(&format!("https://{host}:{port}/")).expect("a URL"),
            id: "wallet.topped_up/7".into(),
            at: fixtures::start(),
            secrets: vec![Secret([7; 32])],
            body: "{}".into(),
        };
        let WebhookAnswer::None(reason) = sender.send(&request).await else { panic!("{host} answered") };
        assert!(reason.contains("public") || reason.contains("special"), "{host}: {reason}");
        assert!(listener.accept().is_err(), "nobody connected");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_delays_no_other() {
    for bench in Bench::both().await {
        let [dead, alive] = [Receiver::start().await, Receiver::start().await];
        dead.answer(Answer::Never);
        bench.add(&dead).await;
        bench.add(&alive).await;
        let (deliverer, stop) = (bench.deliverer(), CancellationToken::new());
        for round in 1..=3 {
            bench.event().await;
            until("the event", || async {
                deliverer.step(&stop).await.expect("the stores answer");
                alive.received().len() == round
            })
            .await;
        }
        assert_eq!(dead.received().len(), 1, "it still waits for the first answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_sends_and_another_takes_over_what_a_killed_one_left() {
    for bench in Bench::both().await {
        let receiver = Receiver::start().await;
        let (endpoint, _) = bench.add(&receiver).await;
        let ids = bench.events(3).await;
        receiver.answer_next(Answer::Status(200));
        receiver.answer_next(Answer::Never);
        receiver.answer_next(Answer::Never);
        let killed = Runtime::new().expect("threads");
        let first = bench.deliverer();
        killed.spawn(async move { first.step(&CancellationToken::new()).await.expect("the stores answer") });
        until("all requests", || async { receiver.received().len() == 3 }).await;
        killed.shutdown_background();

        let second = bench.deliverer();
        deliver(&second).await;
        assert_eq!(receiver.received().len(), 3, "the first has the lease");
        assert_eq!(bench.deliveries(endpoint).await, [], "nothing is recorded before it was made");
        bench.clock.advance(Duration::from_secs(10));
        deliver(&second).await;
        let twice: Vec<String> = ids.iter().flat_map(|id| [id.clone(), id.clone()]).collect();
        assert_eq!(receiver.ids(), twice, "at least once");
        assert!(bench.deliveries(endpoint).await.iter().all(is_delivered));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_rotated_both_sign() {
    let bench = Bench::embedded().await;
    let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
    let (endpoint, _) = bench.add(&receiver).await;
    bench.webhooks().rotate_secret(bench.call(), endpoint, fixtures::request(bench.operator)).await.expect("a secret");
    bench.event().await;
    deliver(&deliverer).await;
    bench.clock.advance(Duration::from_hours(24));
    bench.event().await;
    deliver(&deliverer).await;
    let signatures = |index: usize| receiver.received()[index].header("webhook-signature").split(' ').count();
    assert_eq!((signatures(0), signatures(1)), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_what_is_kept_since_a_moment() {
    for bench in Bench::both().await {
        let (receiver, deliverer) = (Receiver::start().await, bench.deliverer());
        let (endpoint, _) = bench.add(&receiver).await;
        let ids = bench.events(3).await;
        deliver(&deliverer).await;
        let replay = async |since| bench.webhooks().replay(bench.caller(), endpoint, since).await;
        let since = fixtures::start();
        assert_eq!(replay(since).await.expect("a replay"), since);
        bench.event().await;
        deliver(&deliverer).await;
        deliver(&deliverer).await;
        assert_eq!(receiver.received().len(), 3 + 3 + 1, "what is new is sent once: {ids:?}");
        // The events of the fixtures are all of one moment.
        bench.clock.advance(Duration::from_secs(2));
        replay(since + Duration::from_secs(1)).await.expect("a replay");
        deliver(&deliverer).await;
        assert_eq!(receiver.received().len(), 7);
        replay(since + Duration::from_hours(1)).await.expect_err("it has not been yet");
        bench.clock.advance(Duration::from_hours(24 * 31));
        replay(since).await.expect_err("it is too long ago");
    }
}
