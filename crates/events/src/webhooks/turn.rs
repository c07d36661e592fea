//! The turns of endpoints: what one is sent before its changes are read again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::{OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::identity::session::Secret;
use encore_domain::ids::EndpointId;
use encore_domain::ports::{Clock, Ids, Outbox, SecretSeals, WebhookDeliveries, WebhookSender};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DELIVERIES_WAITING_MAX, DeliveredEvent, DeliveryState, Disabled, GIVE_UP_AFTER, HeldEndpoint, Replay,
    WebhookAnswer, WebhookDelivery, WebhookEndpoint, WebhookProgress, WebhookRequest, WhyDisabled, after_try,
};
use encore_event_format::to_json_line;
use futures::{StreamExt, stream};
use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::pages::{PAGE, SharedPages};
use super::parts::WebhookDelivererParts;
use crate::charts::Charts;

/// The most requests to one endpoint at once.
const AT_ONCE: usize = 8;
/// The most deliveries that are tried between two records.
const BATCH: usize = PAGE as usize;
/// The same while the endpoint takes nothing: then requests are made one by one, since each may take its whole time.
const BATCH_WHILE_FAILING: usize = 10;
/// How long one turn of an endpoint goes on. Changes of operators are read before the next.
const TURN: Duration = Duration::from_secs(5);
/// How many turns use the stores at once, so that calls of fans find connections.
const STORE_TURNS: usize = 4;

/// Sends to endpoints, each in turns of its own.
pub struct Turns {
    outbox: Arc<dyn Outbox>,
    pages: SharedPages,
    deliveries: Arc<dyn WebhookDeliveries>,
    seals: Arc<dyn SecretSeals>,
    sender: Arc<dyn WebhookSender>,
    charts: Charts,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    holder: Uuid,
    store_permits: Semaphore,
}

/// An event that is to be sent.
struct Item {
    event: DeliveredEvent,
    /// None if it is not kept any more.
    record: Option<OutboxRecord>,
    /// The delivery after the tries before.
    before: Option<WebhookDelivery>,
}

/// Which events of the outbox are read.
struct Range {
    after: OutboxPlace,
    until: OutboxPlace,
    /// Only events since this moment; all if none.
    since: Option<Timestamp>,
}

/// What was read of a range.
struct Read {
    items: Vec<Item>,
    /// The place after which reading goes on.
    reached: OutboxPlace,
    /// Whether the range ends there.
    is_over: bool,
}

/// Where a batch came from, which says what is recorded beside its deliveries.
enum Source {
    /// Deliveries that waited.
    Retries,
    /// The outbox. The cursor goes here if all were tried.
    New(OutboxPlace),
    /// The outbox, once more. None if the replay is then over.
    Replay(Uuid, Option<OutboxPlace>),
}

impl Range {
    fn new_events(held: &HeldEndpoint) -> Self {
        Self { after: held.cursor, until: OutboxPlace::END, since: None }
    }

    fn of_replay(replay: &Replay) -> Self {
        Self { after: replay.cursor, until: replay.until, since: Some(replay.since) }
    }

    fn contains(&self, record: &OutboxRecord) -> bool {
        record.place <= self.until && self.since.is_none_or(|since| since <= record.at)
    }
}

impl Source {
    /// What is recorded if this was the first place that was not tried: reading goes on there.
    fn up_to(self, untried: OutboxPlace) -> Self {
        match self {
            Self::Retries => Self::Retries,
            Self::New(_) => Self::New(untried.before()),
            Self::Replay(id, _) => Self::Replay(id, Some(untried.before())),
        }
    }
}

/// What came of one item.
struct Tried {
    delivery: WebhookDelivery,
    /// Whether the endpoint had to do with it.
    was_sent: bool,
}

impl Turns {
    /// The turns of endpoints that this holder has.
    pub fn new(parts: WebhookDelivererParts, holder: Uuid) -> Self {
        let WebhookDelivererParts { outbox, deliveries, seals, sender, catalog, clock, ids } = parts;
        Self {
            pages: SharedPages::new(Arc::clone(&outbox)),
            outbox,
            deliveries,
            seals,
            sender,
            charts: Charts::new(catalog),
            clock,
            ids,
            holder,
            store_permits: Semaphore::new(STORE_TURNS),
        }
    }

    /// Sends to an endpoint until it has been sent everything, its turn is over, or something fails.
    pub async fn take(&self, mut held: HeldEndpoint, stop: &CancellationToken) {
        let began = Instant::now();
        let endpoint = held.endpoint.id;
        loop {
            match self.send_next(&mut held, stop).await {
                Ok(true) if began.elapsed() < TURN && !stop.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(%endpoint, error, "sending to a webhook endpoint was interrupted; retrying");
                    break;
                }
            }
        }
    }

    /// Sends the next batches: what is due again, what is new, what is sent once more. Returns whether there may be others.
    async fn send_next(&self, held: &mut HeldEndpoint, stop: &CancellationToken) -> Result<bool, Unavailable> {
        let mut is_more = false;
        if held.due_at.is_some_and(|due_at| due_at <= self.clock.now()) {
            let limit = u32::try_from(batch_of(held)).unwrap_or(PAGE);
            let items = self.due(held.endpoint.id, limit).await?;
            // Those that fail again are due later.
            let was_full = items.len() == limit as usize;
            held.due_at = held.due_at.filter(|_| was_full);
            is_more |= was_full;
            if !self.send(held, items, Source::Retries, stop).await? {
                return Ok(false);
            }
        }
        if held.waiting < u64::from(DELIVERIES_WAITING_MAX) {
            let Read { items, reached, .. } = self.read(held, &Range::new_events(held)).await?;
            if reached > held.cursor {
                is_more = true;
                if !self.send(held, items, Source::New(reached), stop).await? {
                    return Ok(false);
                }
            }
        }
        if held.waiting < u64::from(DELIVERIES_WAITING_MAX)
            && let Some(replay) = &held.replay
        {
            let (id, range) = (replay.id, Range::of_replay(replay));
            let Read { items, reached, is_over } = self.read(held, &range).await?;
            is_more |= !is_over;
            if !self.send(held, items, Source::Replay(id, (!is_over).then_some(reached)), stop).await? {
                return Ok(false);
            }
        }
        Ok(is_more)
    }

    /// The deliveries that are due, with their events.
    async fn due(&self, endpoint: EndpointId, limit: u32) -> Result<Vec<Item>, Unavailable> {
        let _turn = self.store_permits.acquire().await;
        let due = self.deliveries.due(endpoint, self.clock.now(), limit).await?;
        let places: Vec<OutboxPlace> = due.iter().map(|before| before.event.place).collect();
        let kept = if places.is_empty() { vec![] } else { self.outbox.find(&places).await? };
        let mut kept: HashMap<OutboxPlace, OutboxRecord> =
            kept.into_iter().map(|record| (record.place, record)).collect();
        let item = |before: WebhookDelivery| {
            // Another event may be there after a restore.
            let record = kept.remove(&before.event.place).filter(|record| record.id == before.event.id);
            Item { event: before.event.clone(), record, before: Some(before) }
        };
        Ok(due.into_iter().map(item).collect())
    }

    /// Reads the next events of a range that the endpoint wants. Pages without any are passed, for as long as a turn lasts.
    async fn read(&self, held: &HeldEndpoint, range: &Range) -> Result<Read, Unavailable> {
        let (began, mut reached) = (Instant::now(), range.after);
        loop {
            let page = self.page_after(reached).await?;
            let is_last = page.end == reached;
            let (items, end) = wanted(held, &page, range);
            reached = end;
            let is_over = is_last || reached >= range.until;
            if is_over || !items.is_empty() || began.elapsed() >= TURN {
                return Ok(Read { items, reached, is_over });
            }
        }
    }

    async fn page_after(&self, place: OutboxPlace) -> Result<Arc<OutboxPage>, Unavailable> {
        let _turn = self.store_permits.acquire().await;
        self.pages.after(place).await
    }

    /// Sends a batch and records what came of it. Returns whether the endpoint is to be sent more now.
    async fn send(
        &self,
        held: &mut HeldEndpoint,
        items: Vec<Item>,
        source: Source,
        stop: &CancellationToken,
    ) -> Result<bool, Unavailable> {
        let at_once = if held.endpoint.failing_since.is_some() { 1 } else { AT_ONCE };
        let (secrets, is_gone) = (self.secrets(&held.endpoint), AtomicBool::new(false));
        let (endpoint, secrets, is_gone) = (&held.endpoint, secrets.as_slice(), &is_gone);
        let try_one = |item: Item| async move {
            let place = item.event.place;
            if stop.is_cancelled() || is_gone.load(Ordering::Relaxed) {
                return (place, Ok(None));
            }
            let outcome = self.try_item(endpoint, secrets, item).await;
            if outcome.as_ref().is_ok_and(|tried| tried.delivery.answer.is_gone()) {
                is_gone.store(true, Ordering::Relaxed);
            }
            (place, outcome.map(Some))
        };
        let trying: Vec<_> = items.into_iter().map(try_one).collect();
        let outcomes: Vec<(OutboxPlace, Result<Option<Tried>, Unavailable>)> =
            stream::iter(trying).buffer_unordered(at_once).collect().await;
        let (mut tried, mut untried, mut failure) = (Vec::new(), Vec::new(), None);
        for (place, outcome) in outcomes {
            match outcome {
                Ok(Some(outcome)) => tried.push(outcome),
                Ok(None) => untried.push(place),
                Err(unavailable) => {
                    untried.push(place);
                    failure = Some(unavailable);
                }
            }
        }
        let first_untried = untried.into_iter().min();
        // What was sent is recorded, also if the rest was not.
        let source = match first_untried {
            Some(place) => source.up_to(place),
            None => source,
        };
        let goes_on = self.record(held, tried, source).await?;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(goes_on && first_untried.is_none()),
        }
    }

    /// The secrets that sign now.
    fn secrets(&self, endpoint: &WebhookEndpoint) -> Vec<Secret> {
        let live = endpoint.secrets.live(self.clock.now());
        live.filter_map(|secret| self.seals.open(&secret.sealed, endpoint.id.0)).collect()
    }

    async fn try_item(&self, endpoint: &WebhookEndpoint, secrets: &[Secret], item: Item) -> Result<Tried, Unavailable> {
        let Item { event, record, before } = item;
        let (answer, was_sent) = match record {
            None => {
                let (tries, now) = (before.as_ref().map_or(0, |before| before.tries), self.clock.now());
                let answer = WebhookAnswer::none("the event is not kept any more");
                let (endpoint, state) = (endpoint.id, DeliveryState::GivenUp);
                let delivery = WebhookDelivery { endpoint, event, tries, began_at: now, tried_at: now, answer, state };
                return Ok(Tried { delivery, was_sent: false });
            }
            Some(record) => match self
                .charts
                .encode(&record)
                .await?
                .and_then(|message| to_json_line(&message).map_err(|error| error.to_string()))
            {
                Err(reason) => (WebhookAnswer::none(&reason), false),
                Ok(_) if secrets.is_empty() => {
                    error!(
                        alarm = "webhook_secret_unreadable",
                        endpoint = %endpoint.id, "the secret of a webhook endpoint cannot be opened; rotate it, or restore the key"
                    );
                    (WebhookAnswer::none("no secret of the endpoint can be opened"), true)
                }
                Ok(body) => {
                    let (url, id, at) = (endpoint.url.clone(), record.id, self.clock.now());
                    let request = WebhookRequest { url, id, at, secrets: secrets.to_vec(), body };
                    (self.sender.send(&request).await, true)
                }
            },
        };
        let random = u32::try_from(self.ids.next().as_u128() & u128::from(u32::MAX)).unwrap_or_default();
        let delivery = after_try(before.as_ref(), endpoint.id, event, answer, self.clock.now(), random);
        Ok(Tried { delivery, was_sent })
    }

    /// Records a batch. Returns whether the endpoint is to be sent more.
    async fn record(&self, held: &mut HeldEndpoint, tried: Vec<Tried>, source: Source) -> Result<bool, Unavailable> {
        let now = self.clock.now();
        let has_taken = tried.iter().any(|it| it.delivery.answer.is_success());
        let has_failed = tried.iter().any(|it| it.was_sent && !it.delivery.answer.is_success());
        let failing_since = match held.endpoint.failing_since {
            _ if has_taken => None,
            None if has_failed => Some(now),
            before => before,
        };
        let is_gone = tried.iter().any(|it| it.delivery.answer.is_gone());
        let is_lasting = has_failed && failing_since.is_some_and(|since| since + GIVE_UP_AFTER <= now);
        let why = if is_gone { Some(WhyDisabled::Gone) } else { is_lasting.then_some(WhyDisabled::Failing) };
        // An event that is in the outbox twice is recorded once.
        let mut recorded = HashSet::new();
        let tried = tried.into_iter().filter(|it| recorded.insert(it.delivery.event.id.clone()));
        let progress = WebhookProgress {
            cursor: if let Source::New(end) = source { Some(end) } else { None },
            replay: if let Source::Replay(id, left) = source { Some((id, left)) } else { None },
            deliveries: tried.map(|it| it.delivery).collect(),
            failing_since,
            disabled: why.map(|why| Disabled { at: now, why }),
        };
        let recorded = {
            let _turn = self.store_permits.acquire().await;
            self.deliveries.record(self.holder, held.endpoint.id, &progress).await?
        };
        tell(held, &progress, recorded);
        held.cursor = progress.cursor.unwrap_or(held.cursor);
        if let Some((_, left)) = progress.replay {
            held.replay = held.replay.take().zip(left).map(|(replay, cursor)| Replay { cursor, ..replay });
        }
        held.waiting += progress.deliveries.iter().filter(|it| is_waiting(it) && it.tries == 1).count() as u64;
        held.endpoint.failing_since = failing_since;
        Ok(recorded && why.is_none())
    }
}

/// The events of a page that an endpoint wants, as many as a batch has, and where the page was left.
fn wanted(held: &HeldEndpoint, page: &OutboxPage, range: &Range) -> (Vec<Item>, OutboxPlace) {
    let filter = &held.endpoint.filter;
    let mut items = Vec::new();
    for record in page.records.iter().filter(|it| filter.takes(&it.kind, it.key) && range.contains(it)) {
        items.push(Item { event: record.into(), record: Some(record.clone()), before: None });
        if items.len() == batch_of(held) {
            return (items, record.place);
        }
    }
    (items, page.end)
}

fn batch_of(held: &HeldEndpoint) -> usize {
    if held.endpoint.failing_since.is_some() { BATCH_WHILE_FAILING } else { BATCH }
}

fn is_waiting(delivery: &WebhookDelivery) -> bool {
    matches!(delivery.state, DeliveryState::Waiting { .. })
}

/// Counts and logs what was recorded.
fn tell(held: &HeldEndpoint, progress: &WebhookProgress, recorded: bool) {
    let endpoint = held.endpoint.id;
    if !recorded {
        return info!(%endpoint, "a webhook endpoint was taken over, disabled or removed; what was sent may be sent again");
    }
    for delivery in &progress.deliveries {
        let outcome = match delivery.state {
            DeliveryState::Delivered => "delivered",
            DeliveryState::Waiting { .. } => "failed",
            DeliveryState::GivenUp => "given_up",
        };
        counter!("encore_webhook_deliveries_total", "outcome" => outcome).increment(1);
        if delivery.state == DeliveryState::GivenUp {
            warn!(%endpoint, event = delivery.event.id, "a webhook was not delivered; given up");
        }
    }
    if let Some(Disabled { why, .. }) = progress.disabled {
        let why = why.as_str();
        error!(
            alarm = "webhook_endpoint_disabled",
            %endpoint, why, "webhook endpoint disabled; it is sent nothing until an operator enables it"
        );
    }
}
