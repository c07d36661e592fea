//! When endpoints have turns, and where they go on, with a sender and an outbox that wait for the test.

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::{Backlog, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ports::{Outbox, WebhookSender};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DELIVERIES_KEPT, DeliveredEvent, EndpointUrl, WebhookAnswer, WebhookProgress, WebhookRequest, after_try,
};
use encore_port_tests::fixtures;
use encore_tests::world::until;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::webhook_bench::{Bench, deliver};

/// Notes the events that it is to send, and answers when the test lets it.
struct TestSender {
    sent: Mutex<Vec<String>>,
    may_answer: Semaphore,
    status: AtomicU16,
    /// Cancelled when so many events were sent.
    stop: Mutex<Option<(usize, CancellationToken)>>,
}

impl TestSender {
    fn letting(requests: usize) -> Arc<Self> {
        let (may_answer, status) = (Semaphore::new(requests), AtomicU16::new(204));
        Arc::new(Self { sent: Mutex::default(), may_answer, status, stop: Mutex::default() })
    }

    /// A token that is cancelled when so many events were sent.
    fn stop_at(&self, sent: usize) -> CancellationToken {
        let stop = CancellationToken::new();
        *self.stop.lock().expect("not poisoned") = Some((sent, stop.clone()));
        stop
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl WebhookSender for TestSender {
    fn refuses(&self, _: &EndpointUrl) -> Option<&'static str> {
        None
    }

    async fn send(&self, request: &WebhookRequest) -> WebhookAnswer {
        let sent = {
            let mut sent = self.sent.lock().expect("not poisoned");
            sent.push(request.id.clone());
            sent.len()
        };
        if let Some((_, stop)) = self.stop.lock().expect("not poisoned").as_ref().filter(|(at, _)| sent == *at) {
            stop.cancel();
        }
        self.may_answer.acquire().await.expect("it is open").forget();
        WebhookAnswer::Status(self.status.load(Ordering::SeqCst))
    }
}

/// An outbox whose end is read when the test lets it. It counts how often events were looked up.
struct TestOutbox {
    outbox: Arc<dyn Outbox>,
    may_end: Semaphore,
    lookups: AtomicUsize,
}

impl TestOutbox {
    fn letting(ends: usize, outbox: &Arc<dyn Outbox>) -> Arc<Self> {
        let (outbox, may_end) = (Arc::clone(outbox), Semaphore::new(ends));
        Arc::new(Self { outbox, may_end, lookups: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Outbox for TestOutbox {
    async fn close_window(&self) -> Result<(), Unavailable> {
        self.outbox.close_window().await
    }

    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable> {
        self.outbox.after(place, limit).await
    }

    async fn of_key_after(
        &self,
        key: Uuid,
        place: OutboxPlace,
        until: OutboxPlace,
        limit: u32,
    ) -> Result<OutboxPage, Unavailable> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.outbox.of_key_after(key, place, until, limit).await
    }

    async fn find(&self, places: &[OutboxPlace]) -> Result<Vec<OutboxRecord>, Unavailable> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.outbox.find(places).await
    }

    async fn end(&self) -> Result<OutboxPlace, Unavailable> {
        self.may_end.acquire().await.expect("it is open").forget();
        self.outbox.end().await
    }

    async fn backlog(&self, place: OutboxPlace) -> Result<Backlog, Unavailable> {
        self.outbox.backlog(place).await
    }

    async fn forget(&self, delivered: OutboxPlace, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        self.outbox.forget(delivered, before, limit).await
    }

    async fn oldest_transaction(&self) -> Result<Option<Timestamp>, Unavailable> {
        self.outbox.oldest_transaction().await
    }

    async fn forgotten_before(&self) -> Result<Option<Timestamp>, Unavailable> {
        self.outbox.forgotten_before().await
    }
}

#[tokio::test]
async fn a_turn_that_ends_during_a_step_is_not_repeated_by_it() {
    let mut bench = Bench::embedded().await;
    let sender = TestSender::letting(0);
    // The end is read once for the endpoint that is added, and once for the first step.
    let outbox = TestOutbox::letting(2, &bench.ports.outbox);
    bench.ports.webhook_sender = sender.clone();
    bench.ports.outbox = outbox.clone();
    let endpoint = bench.add_anywhere().await;
    let ids = bench.events(1).await;
    let (deliverer, stop) = (bench.deliverer(), CancellationToken::new());
    deliverer.step(&stop).await.expect("the stores answer");
    until("the request", || async { sender.sent().len() == 1 }).await;

    // The second step acquires the endpoint as it is before the turn has ended, and goes on afterwards.
    let second = tokio::spawn({
        let (deliverer, stop) = (deliverer.clone(), stop.clone());
        async move { deliverer.step(&stop).await }
    });
    tokio::task::yield_now().await;
    sender.may_answer.add_permits(10);
    until("the record", || async { bench.deliveries(endpoint).await.len() == 1 }).await;
    outbox.may_end.add_permits(10);
    second.await.expect("no panic").expect("the stores answer");
    deliverer.finish().await;
    assert_eq!(sender.sent(), ids, "it is sent once");
}

#[tokio::test]
async fn a_batch_that_is_stopped_goes_on_at_the_first_event_that_was_not_sent() {
    for mut bench in Bench::both().await {
        let sender = TestSender::letting(100);
        bench.ports.webhook_sender = sender.clone();
        let endpoint = bench.add_anywhere().await;
        let ids = bench.events(5).await;
        let deliverer = bench.deliverer();
        let stop_and_go_on = async |sent| {
            deliverer.step(&sender.stop_at(sent)).await.expect("the stores answer");
            deliverer.finish().await;
            assert_eq!(sender.sent().len(), sent, "it is stopped there");
            deliver(&deliverer).await;
        };
        stop_and_go_on(2).await;
        assert_eq!(sender.sent(), ids, "each is sent once");
        bench.webhooks().replay(bench.caller(), endpoint, fixtures::start()).await.expect("a replay");
        stop_and_go_on(7).await;
        assert_eq!(sender.sent(), [ids.clone(), ids].concat(), "each is sent once more");
    }
}

#[tokio::test]
async fn deliveries_that_are_due_are_looked_up_together() {
    let mut bench = Bench::embedded().await;
    let (sender, outbox) = (TestSender::letting(100), TestOutbox::letting(100, &bench.ports.outbox));
    bench.ports.webhook_sender = sender.clone();
    bench.ports.outbox = outbox.clone();
    bench.add_anywhere().await;
    let ids = bench.events(3).await;
    let deliverer = bench.deliverer();
    sender.status.store(503, Ordering::SeqCst);
    deliver(&deliverer).await;
    sender.status.store(204, Ordering::SeqCst);
    bench.clock.advance(Duration::from_secs(7));
    deliver(&deliverer).await;
    assert_eq!(sender.sent().len(), 2 * ids.len());
    assert_eq!(outbox.lookups.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_endpoints_looks_for_one_after_three_seconds() {
    let mut bench = Bench::embedded().await;
    let sender = TestSender::letting(100);
    bench.ports.webhook_sender = sender.clone();
    let (deliverer, stop) = (bench.deliverer(), CancellationToken::new());
    let poll = async || {
        deliverer.poll(&stop).await.expect("the stores answer");
        deliverer.finish().await;
    };
    poll().await;
    bench.add_anywhere().await;
    let first = bench.event().await;
    poll().await;
    assert_eq!(sender.sent(), [""; 0], "it looked a moment ago");
    tokio::time::advance(Duration::from_secs(3)).await;
    poll().await;
    assert_eq!(sender.sent(), std::slice::from_ref(&first));
    let second = bench.event().await;
    poll().await;
    assert_eq!(sender.sent(), [first, second], "it has an endpoint, so it does not wait");
}

#[tokio::test]
async fn all_old_deliveries_are_deleted_at_once() {
    let mut bench = Bench::embedded().await;
    bench.ports.webhook_sender = TestSender::letting(0);
    let (endpoint, deliverer) = (bench.add_anywhere().await, bench.deliverer());
    let (now, holder) = (fixtures::start(), fixtures::id());
    bench.ports.webhook_deliveries.acquire(holder, now, now, now).await.expect("the store answers");
    let delivery = |sequence: i64| {
        let (place, kind) = (OutboxPlace { window: 0, sequence }, "kind".to_owned());
        let event = DeliveredEvent { id: format!("{kind}/{sequence}"), kind, key: Uuid::nil(), place };
        after_try(None, endpoint, event, WebhookAnswer::Status(204), now, 0)
    };
    let deliveries = (0..10_001).map(delivery).collect();
    let progress = WebhookProgress { deliveries, cursor: None, replay: None, failing_since: None, disabled: None };
    assert!(bench.ports.webhook_deliveries.record(holder, endpoint, &progress).await.expect("the store answers"));
    bench.clock.advance(DELIVERIES_KEPT + Duration::from_secs(1));
    deliverer.forget(&CancellationToken::new()).await.expect("the store answers");
    assert_eq!(bench.deliveries(endpoint).await, []);
}
