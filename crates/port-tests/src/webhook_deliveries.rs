//! The cases of [`WebhookDeliveries`](encore_domain::ports::WebhookDeliveries).

use std::ops::RangeInclusive;
use std::time::Duration;

use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DELIVERIES_WAITING_MAX, DeliveredEvent, DeliveryState, Disabled, HeldEndpoint, Replay, WebhookAnswer,
    WebhookDelivery, WebhookProgress, WebhookSummary, WhyDisabled,
};
use uuid::Uuid;

use crate::RecordBench;
use crate::fixtures::{at_secs, id, just_before};
use crate::paging::{SIZES, read_all};

/// Stamps the cases of the port `WebhookDeliveries`.
#[macro_export]
macro_rules! webhook_deliveries {
    ($($with:tt)+) => {
        $crate::suite! { webhook_deliveries [
            holding, renewing, recording, fencing, advancing, retrying, counting_what_waits, disabling, listing,
            resending, replaying, summing_up, forgetting,
        ] $($with)+ }
    };
}

const LEASE: Duration = Duration::from_secs(10);

fn place(sequence: i64) -> OutboxPlace {
    OutboxPlace { window: 3, sequence }
}

/// Progress without anything.
pub(crate) fn progress() -> WebhookProgress {
    WebhookProgress { deliveries: vec![], cursor: None, replay: None, failing_since: None, disabled: None }
}

/// The event of this number.
pub(crate) fn event(number: i64) -> DeliveredEvent {
    let kind = "wallet.topped_up".to_owned();
    DeliveredEvent { id: format!("{kind}/{number:03}"), kind, key: Uuid::from_u128(7), place: place(number) }
}

impl RecordBench {
    /// Takes all endpoints that are free, for [`LEASE`].
    pub(crate) async fn hold_all(&self, holder: Uuid, now: Timestamp) -> Vec<HeldEndpoint> {
        let held = self.webhook_deliveries.acquire(holder, now, now + LEASE / 2, now + LEASE).await;
        held.expect("the store answers")
    }

    async fn held_ids(&self, holder: Uuid, now: Timestamp) -> Vec<EndpointId> {
        self.hold_all(holder, now).await.into_iter().map(|held| held.endpoint.id).collect()
    }

    pub(crate) async fn record(&self, holder: Uuid, endpoint: EndpointId, progress: &WebhookProgress) -> bool {
        self.webhook_deliveries.record(holder, endpoint, progress).await.expect("the store answers")
    }

    /// A delivery that waits.
    pub(crate) fn waiting_delivery(
        endpoint: EndpointId,
        event: DeliveredEvent,
        next_try_at: Timestamp,
    ) -> WebhookDelivery {
        WebhookDelivery {
            endpoint,
            event,
            tries: 2,
            began_at: at_secs(0),
            tried_at: at_secs(1),
            answer: WebhookAnswer::Status(503),
            state: DeliveryState::Waiting { next_try_at },
        }
    }

    async fn due(&self, endpoint: EndpointId, now: Timestamp, limit: u32) -> Vec<String> {
        let due = self.webhook_deliveries.due(endpoint, now, limit).await.expect("the store answers");
        due.into_iter().map(|delivery| delivery.event.id).collect()
    }
}

/// One holder at a time for each endpoint that is not disabled: another acquires it after it was released, or when its time is over.
pub async fn holding(bench: RecordBench) {
    let [first, second] = [id(), id()];
    assert_eq!(bench.held_ids(first, at_secs(0)).await, []);
    let one = bench.add_endpoint(place(5)).await;
    let held = bench.hold_all(first, at_secs(0)).await;
    let [HeldEndpoint { endpoint, cursor, replay: None, waiting: 0, due_at: None }] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!((Some(endpoint), *cursor), (bench.endpoint(one).await.as_ref(), place(5)));
    assert_eq!(bench.held_ids(second, at_secs(0)).await, []);
    let other = bench.add_endpoint(place(5)).await;
    assert_eq!(bench.held_ids(second, at_secs(1)).await, [other], "what is free is taken");
    assert_eq!(bench.held_ids(first, at_secs(1)).await, [one]);

    assert_eq!(bench.held_ids(second, just_before(at_secs(10))).await, [other]);
    let mut both = [one, other];
    both.sort_unstable();
    assert_eq!(bench.held_ids(second, at_secs(10)).await, both, "the first is dead");
    assert_eq!(bench.held_ids(first, at_secs(10)).await, []);
    bench.webhook_deliveries.release(first).await.expect("the store answers");
    assert_eq!(bench.held_ids(first, at_secs(11)).await, [], "only its holder releases it");
    bench.webhook_deliveries.release(second).await.expect("the store answers");
    assert_eq!(bench.held_ids(first, at_secs(11)).await, both);
}

/// A holder prolongs what it has when little time is left, and is told all that it has.
pub async fn renewing(bench: RecordBench) {
    let [first, second] = [id(), id()];
    let endpoint = bench.add_endpoint(place(0)).await;
    assert_eq!(bench.held_ids(first, at_secs(0)).await, [endpoint]);
    assert_eq!(bench.held_ids(first, at_secs(3)).await, [endpoint], "there is time enough");
    assert_eq!(bench.held_ids(second, at_secs(10)).await, [endpoint], "so it was not prolonged");
    assert_eq!(bench.held_ids(second, at_secs(16)).await, [endpoint]);
    assert_eq!(bench.held_ids(first, at_secs(20)).await, [], "it was prolonged");
    assert_eq!(bench.held_ids(second, at_secs(40)).await, [endpoint], "also late, if nobody took it");
}

/// What the holder recorded is found by whoever holds the endpoint next.
pub async fn recording(bench: RecordBench) {
    let [first, second] = [id(), id()];
    let endpoint = bench.add_endpoint(place(0)).await;
    bench.hold_all(first, at_secs(0)).await;
    let waiting = RecordBench::waiting_delivery(endpoint, event(1), at_secs(30));
    let answer = WebhookAnswer::none("connection refused");
    let failed = WebhookDelivery { answer, event: event(2), state: DeliveryState::GivenUp, ..waiting.clone() };
    let recorded = WebhookProgress {
        deliveries: vec![waiting.clone(), failed.clone()],
        cursor: Some(place(2)),
        failing_since: Some(at_secs(1)),
        ..progress()
    };
    assert!(bench.record(first, endpoint, &recorded).await);
    let held = bench.hold_all(second, at_secs(10)).await;
    let [held] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!((held.cursor, held.waiting, held.due_at), (place(2), 1, Some(at_secs(30))));
    assert_eq!(held.endpoint.failing_since, Some(at_secs(1)));
    let find = async |event: &DeliveredEvent| {
        bench.webhook_deliveries.find(endpoint, &event.id).await.expect("the store answers")
    };
    assert_eq!((find(&waiting.event).await, find(&failed.event).await), (Some(waiting.clone()), Some(failed)));
    assert_eq!(find(&event(3)).await, None);

    let delivered = WebhookDelivery {
        tries: 3,
        tried_at: at_secs(31),
        answer: WebhookAnswer::Status(204),
        state: DeliveryState::Delivered,
        ..waiting
    };
    let recorded = WebhookProgress { deliveries: vec![delivered.clone()], ..progress() };
    assert!(bench.record(second, endpoint, &recorded).await);
    assert_eq!(find(&delivered.event).await, Some(delivered));
    let held = bench.hold_all(second, at_secs(32)).await;
    assert_eq!((held[0].cursor, held[0].waiting, held[0].due_at), (place(2), 0, None));
    assert_eq!(held[0].endpoint.failing_since, None);
}

/// Who does not hold an endpoint records nothing, nor does anybody for one that is disabled or removed.
pub async fn fencing(bench: RecordBench) {
    let [first, second] = [id(), id()];
    let endpoint = bench.add_endpoint(place(0)).await;
    let waiting = RecordBench::waiting_delivery(endpoint, event(1), at_secs(30));
    let sent = WebhookProgress { deliveries: vec![waiting.clone()], cursor: Some(place(2)), ..progress() };
    assert!(!bench.record(first, endpoint, &sent).await, "nobody holds it");
    bench.hold_all(first, at_secs(0)).await;
    bench.hold_all(second, at_secs(10)).await;
    assert!(!bench.record(first, endpoint, &sent).await, "it was taken over");
    let find = async || bench.webhook_deliveries.find(endpoint, &waiting.event.id).await.expect("the store answers");
    assert_eq!((find().await, bench.hold_all(second, at_secs(11)).await[0].cursor), (None, place(0)));

    let disabled = Some(Disabled { at: at_secs(11), why: WhyDisabled::Gone });
    assert!(bench.record(second, endpoint, &WebhookProgress { disabled, ..progress() }).await);
    assert!(!bench.record(second, endpoint, &sent).await, "it is disabled");
    bench.webhook_endpoints.enable(endpoint, at_secs(12), None).await.expect("the store answers");
    bench.hold_all(second, at_secs(12)).await;
    bench.webhook_endpoints.remove(endpoint, at_secs(12), None).await.expect("the store answers");
    assert!(!bench.record(second, endpoint, &sent).await, "it is removed");
    assert_eq!(find().await, None);
}

/// Neither the cursor of an endpoint nor that of a replay moves back, whatever is recorded.
pub async fn advancing(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(place(5)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let replay = Replay { id: id(), since: at_secs(1), cursor: place(2), until: place(9) };
    assert!(bench.webhook_deliveries.replay(endpoint, replay.clone()).await.expect("the store answers"));
    let next_window = OutboxPlace { window: 4, sequence: 1 };
    for (recorded, cursor, replayed) in [
        (place(7), place(7), place(7)),
        (place(6), place(7), place(7)),
        (next_window, next_window, next_window),
        (place(8), next_window, next_window),
    ] {
        let recorded =
            WebhookProgress { cursor: Some(recorded), replay: Some((replay.id, Some(recorded))), ..progress() };
        assert!(bench.record(holder, endpoint, &recorded).await);
        let held = bench.hold_all(holder, at_secs(0)).await.remove(0);
        assert_eq!((held.cursor, held.replay.map(|replay| replay.cursor)), (cursor, Some(replayed)));
    }
}

/// Deliveries that wait are due when their time has come, the earliest first, at most `limit`.
pub async fn retrying(bench: RecordBench) {
    let (endpoint, other, holder) = (bench.add_endpoint(place(0)).await, bench.add_endpoint(place(0)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let waiting = |of, number, secs| RecordBench::waiting_delivery(of, event(number), at_secs(secs));
    let deliveries = vec![waiting(endpoint, 1, 30), waiting(endpoint, 2, 10), waiting(endpoint, 3, 20)];
    bench.record(holder, endpoint, &WebhookProgress { deliveries, ..progress() }).await;
    let of_other = WebhookProgress { deliveries: vec![waiting(other, 4, 5)], ..progress() };
    bench.record(holder, other, &of_other).await;
    assert_eq!(bench.due(endpoint, just_before(at_secs(10)), 10).await, [""; 0]);
    assert_eq!(bench.due(endpoint, at_secs(20), 10).await, [event(2).id, event(3).id]);
    assert_eq!(bench.due(endpoint, at_secs(60), 2).await, [event(2).id, event(3).id]);
    assert_eq!(bench.due(other, at_secs(60), 2).await, [event(4).id]);
    let due = bench.webhook_deliveries.due(endpoint, at_secs(10), 1).await.expect("the store answers");
    assert_eq!(due, [waiting(endpoint, 2, 10)]);
}

/// The deliveries that wait are counted up to `DELIVERIES_WAITING_MAX`, and the first that is due is found among all of them.
pub async fn counting_what_waits(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(place(0)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let most = i64::from(DELIVERIES_WAITING_MAX);
    let record = async |numbers: RangeInclusive<i64>| {
        // The last is due first.
        let waiting = |number: i64| {
            let due_at = at_secs((2 * most - number).unsigned_abs());
            RecordBench::waiting_delivery(endpoint, event(number), due_at)
        };
        let deliveries = numbers.map(waiting).collect();
        assert!(bench.record(holder, endpoint, &WebhookProgress { deliveries, ..progress() }).await);
        let held = bench.hold_all(holder, at_secs(0)).await.remove(0);
        (held.waiting, held.due_at)
    };
    assert_eq!(record(1..=3).await, (3, Some(at_secs((2 * most - 3).unsigned_abs()))));
    assert_eq!(record(4..=most + 2).await, (most.unsigned_abs(), Some(at_secs((most - 2).unsigned_abs()))));
}

/// An endpoint that was disabled is held by nobody.
pub async fn disabling(bench: RecordBench) {
    let [first, second] = [id(), id()];
    let endpoint = bench.add_endpoint(place(0)).await;
    bench.hold_all(first, at_secs(0)).await;
    let disabled = Some(Disabled { at: at_secs(1), why: WhyDisabled::Failing });
    let disabling = WebhookProgress { cursor: Some(place(7)), disabled, ..progress() };
    assert!(bench.record(first, endpoint, &disabling).await);
    assert_eq!(bench.held_ids(first, at_secs(2)).await, []);
    assert_eq!(bench.held_ids(second, at_secs(20)).await, []);
    assert_eq!(bench.endpoint(endpoint).await.expect("the endpoint").disabled, disabled);
    bench.webhook_endpoints.enable(endpoint, at_secs(21), None).await.expect("the store answers");
    assert_eq!(bench.hold_all(second, at_secs(21)).await[0].cursor, place(7), "it goes on where it was");
}

/// Pages list deliveries, those tried last first, each once; or only those that were not delivered.
pub async fn listing(bench: RecordBench) {
    let (endpoint, other, holder) = (bench.add_endpoint(place(0)).await, bench.add_endpoint(place(0)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let states = [
        DeliveryState::Delivered,
        DeliveryState::Waiting { next_try_at: at_secs(60) },
        DeliveryState::Delivered,
        DeliveryState::GivenUp,
        DeliveryState::Delivered,
        DeliveryState::Delivered,
    ];
    // Some are tried at the same moment.
    let delivery = |(number, state): (i64, DeliveryState)| WebhookDelivery {
        tried_at: at_secs(number.unsigned_abs() / 2),
        state,
        ..RecordBench::waiting_delivery(endpoint, event(number), at_secs(60))
    };
    let deliveries: Vec<WebhookDelivery> = (1..).zip(states).map(delivery).collect();
    bench.record(holder, endpoint, &WebhookProgress { deliveries: deliveries.clone(), ..progress() }).await;
    let of_other =
        WebhookProgress { deliveries: vec![RecordBench::waiting_delivery(other, event(9), at_secs(60))], ..progress() };
    bench.record(holder, other, &of_other).await;
    let expected: Vec<WebhookDelivery> = deliveries.into_iter().rev().collect();
    for size in SIZES {
        let all = read_all(size, |page| bench.webhook_deliveries.page(endpoint, false, page)).await;
        assert_eq!(all, expected);
    }
    let undelivered = read_all(1, |page| bench.webhook_deliveries.page(endpoint, true, page)).await;
    assert_eq!(undelivered, [expected[2].clone(), expected[4].clone()]);
}

/// A delivery is due at once and begins anew.
pub async fn resending(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(place(0)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let waiting = RecordBench::waiting_delivery(endpoint, event(1), at_secs(60));
    let delivered = WebhookDelivery { state: DeliveryState::Delivered, ..waiting.clone() };
    bench.record(holder, endpoint, &WebhookProgress { deliveries: vec![delivered.clone()], ..progress() }).await;
    let resend =
        async |id: &str| bench.webhook_deliveries.resend(endpoint, id, at_secs(40)).await.expect("the store answers");
    let state = DeliveryState::Waiting { next_try_at: at_secs(40) };
    let expected = WebhookDelivery { tries: 0, began_at: at_secs(40), state, ..delivered };
    assert_eq!(resend(&expected.event.id).await, Some(expected.clone()));
    assert_eq!(bench.due(endpoint, at_secs(40), 10).await, [expected.event.id]);
    assert_eq!(resend(&event(2).id).await, None);
}

/// A replay goes on where it was recorded, until it is over; a new one replaces it.
pub async fn replaying(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(place(9)).await, id());
    let replay = || Replay { id: id(), since: at_secs(1), cursor: place(2), until: place(9) };
    let begin =
        async |endpoint, replay| bench.webhook_deliveries.replay(endpoint, replay).await.expect("the store answers");
    let held = async || bench.hold_all(holder, at_secs(0)).await.remove(0).replay;
    let go_on = async |replay: &Replay, cursor| {
        let recorded = WebhookProgress { replay: Some((replay.id, cursor)), ..progress() };
        assert!(bench.record(holder, endpoint, &recorded).await);
    };
    assert_eq!(held().await, None);
    let (first, second) = (replay(), replay());
    assert!(begin(endpoint, first.clone()).await);
    assert_eq!(held().await, Some(first.clone()));
    go_on(&first, Some(place(5))).await;
    assert_eq!(held().await, Some(Replay { cursor: place(5), ..first.clone() }));
    assert!(begin(endpoint, second.clone()).await);
    go_on(&first, Some(place(7))).await;
    go_on(&first, None).await;
    assert_eq!(held().await, Some(second.clone()), "the first was replaced");
    go_on(&second, None).await;
    assert_eq!(held().await, None);
    assert!(!begin(id(), replay()).await);
}

/// Endpoints and what waits are counted.
pub async fn summing_up(bench: RecordBench) {
    let summary = async || bench.webhook_deliveries.summary().await.expect("the store answers");
    assert_eq!(summary().await, WebhookSummary::default());
    let holder = id();
    let [_, failing, disabled, removed] = [
        bench.add_endpoint(place(8)).await,
        bench.add_endpoint(place(5)).await,
        bench.add_endpoint(place(2)).await,
        bench.add_endpoint(place(1)).await,
    ];
    bench.hold_all(holder, at_secs(0)).await;
    let waiting = |of, number| RecordBench::waiting_delivery(of, event(number), at_secs(60));
    let recorded = WebhookProgress {
        deliveries: vec![waiting(failing, 1), waiting(failing, 2)],
        failing_since: Some(at_secs(1)),
        ..progress()
    };
    bench.record(holder, failing, &recorded).await;
    let why = Some(Disabled { at: at_secs(1), why: WhyDisabled::Gone });
    let recorded = WebhookProgress { deliveries: vec![waiting(disabled, 3)], disabled: why, ..progress() };
    bench.record(holder, disabled, &recorded).await;
    bench.webhook_endpoints.remove(removed, at_secs(1), None).await.expect("the store answers");
    let expected = WebhookSummary { healthy: 1, failing: 1, disabled: 1, waiting: 2, cursor: Some(place(5)) };
    assert_eq!(summary().await, expected);
}

/// Old deliveries that do not wait go, and those of endpoints that were removed, at most `limit` at once.
pub async fn forgetting(bench: RecordBench) {
    let (endpoint, holder) = (bench.add_endpoint(place(0)).await, id());
    bench.hold_all(holder, at_secs(0)).await;
    let delivery = |number: i64, state| WebhookDelivery {
        tried_at: at_secs(number.unsigned_abs()),
        state,
        ..RecordBench::waiting_delivery(endpoint, event(number), at_secs(60))
    };
    let deliveries = vec![
        delivery(1, DeliveryState::Delivered),
        delivery(2, DeliveryState::Waiting { next_try_at: at_secs(60) }),
        delivery(3, DeliveryState::GivenUp),
        delivery(4, DeliveryState::Delivered),
        delivery(5, DeliveryState::Delivered),
    ];
    bench.record(holder, endpoint, &WebhookProgress { deliveries, ..progress() }).await;
    let forget = async |before, limit| bench.webhook_deliveries.forget(before, limit).await.expect("the store answers");
    let kept = async || {
        let kept = read_all(100, |page| bench.webhook_deliveries.page(endpoint, false, page)).await;
        kept.into_iter().map(|delivery| delivery.event.id).collect::<Vec<_>>()
    };
    assert_eq!(forget(at_secs(1), 10).await, 0);
    assert_eq!(forget(at_secs(5), 2).await, 2, "at most the limit");
    assert_eq!(forget(at_secs(5), 10).await, 1);
    assert_eq!(kept().await, [event(5).id, event(2).id]);
    bench.webhook_endpoints.remove(endpoint, at_secs(9), None).await.expect("the store answers");
    while forget(at_secs(1), 1).await > 0 {}
    assert_eq!(kept().await, [""; 0]);
}
