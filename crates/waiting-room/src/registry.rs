//! One shared copy of each watched queue per instance, renewed once a tick, however many fans read their position off it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Presence, QueueLost, QueueStore};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{AdmissionMeter, LaneNumber, QueueTokenPayload};
use encore_domain::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::AppError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::queue_presence::Presences;
use crate::queue_recovery::QueueRecovery;
use crate::queue_view::{Notice, QueueView};
use crate::seat_map::SeatMap;

/// How often queues admit and their copies are renewed.
pub const TICK: Duration = Duration::from_millis(100);
/// A copy this old is renewed before a single question is answered from it.
const STALE_AFTER: Duration = Duration::from_millis(200);

/// The copies of all queues that somebody on this instance watches.
#[derive(Clone)]
pub struct QueueReplicaRegistry {
    recovery: QueueRecovery,
    queues: Arc<dyn QueueStore>,
    seat_map: SeatMap,
    open_queues: OpenQueues,
    clock: Arc<dyn Clock>,
    replicas: Arc<Mutex<HashMap<PerformanceId, Arc<Replica>>>>,
}

struct Replica {
    views: watch::Sender<Option<Arc<QueueView>>>,
    /// Changes only with what everybody must learn at once.
    notices: watch::Sender<Notice>,
    present: Presences,
    /// Held while the view is renewed, so that a crowd asking at once causes one renewal.
    renewing: tokio::sync::Mutex<Renewal>,
}

/// What is remembered from one renewal to the next.
#[derive(Default)]
struct Renewal {
    meters: Vec<AdmissionMeter>,
    /// To which placing of the queue the fans here have shown their tokens.
    shown_to: Option<Timestamp>,
}

/// An open stream's hold on a replica: while it lives, its fan is present.
pub(crate) struct Watcher {
    replica: Arc<Replica>,
    payload: QueueTokenPayload,
    pub(crate) views: watch::Receiver<Option<Arc<QueueView>>>,
    pub(crate) notices: watch::Receiver<Notice>,
}

impl Watcher {
    /// The fan was admitted: what is shown of the queue token says so from now on.
    pub(crate) fn admitted(&self, until: Timestamp) {
        self.replica.present.admitted(&self.payload, until);
    }

    /// How many fans are here.
    pub(crate) fn guests(&self) -> usize {
        self.replica.present.count()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.replica.present.go(&self.payload);
    }
}

impl Replica {
    fn new(performance: PerformanceId) -> Self {
        Self {
            views: watch::Sender::new(None),
            notices: watch::Sender::default(),
            present: Presences::new(performance),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    fn latest(&self) -> Option<Arc<QueueView>> {
        self.views.borrow().clone()
    }

    fn publish(&self, view: Arc<QueueView>) {
        let notice = view.notice();
        self.views.send_replace(Some(view));
        self.notices.send_if_modified(|before| {
            let changes = *before != notice;
            *before = notice;
            changes
        });
    }
}

impl QueueReplicaRegistry {
    /// Watches nothing yet.
    pub fn new(
        recovery: QueueRecovery,
        queues: Arc<dyn QueueStore>,
        seat_map: SeatMap,
        open_queues: OpenQueues,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { recovery, queues, seat_map, open_queues, clock, replicas: Arc::default() }
    }

    /// Watches a queue on behalf of a fan, who is present from now on.
    pub(crate) async fn watch(&self, payload: &QueueTokenPayload) -> Result<Watcher, AppError> {
        let replica = self.replica(payload.performance);
        self.view(payload, &replica).await?;
        replica.present.come(payload)?;
        let (views, notices) = (replica.views.subscribe(), replica.notices.subscribe());
        Ok(Watcher { views, notices, replica, payload: *payload })
    }

    /// The queue as of a moment ago. The fan who asks is present.
    pub(crate) async fn view_for(&self, payload: &QueueTokenPayload) -> Result<Arc<QueueView>, AppError> {
        let replica = self.replica(payload.performance);
        replica.present.ask(payload);
        self.view(payload, &replica).await
    }

    /// The queue as of a moment ago, for who stands in none.
    pub async fn view_of(&self, performance: PerformanceId) -> Result<Arc<QueueView>, AppError> {
        let replica = self.replica(performance);
        let fresh = |view: &Arc<QueueView>| view.read_at.elapsed() < STALE_AFTER;
        if let Some(view) = replica.latest().filter(fresh) {
            return Ok(view);
        }
        let mut renewal = replica.renewing.lock().await;
        if let Some(view) = replica.latest().filter(fresh) {
            return Ok(view);
        }
        let open = self.open_queues.queue_now(performance).await?;
        self.renew(performance, &replica, &mut renewal, open, None).await
    }

    /// The queue as of now.
    pub(crate) async fn renewed_view(&self, performance: PerformanceId) -> Result<Arc<QueueView>, AppError> {
        let replica = self.replica(performance);
        let mut renewal = replica.renewing.lock().await;
        let open = self.open_queues.queue_now(performance).await?;
        self.renew(performance, &replica, &mut renewal, open, None).await
    }

    /// Renews the copies of all watched queues, and forgets those that nobody watches. A queue that cannot be read does not
    /// keep the others from it. `admitted_in` says what the tick has taken for each until now.
    pub async fn renew_watched(&self, admitted_in: &HashMap<PerformanceId, Duration>) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, replica) in self.watched() {
            let mut renewal = replica.renewing.lock().await;
            let (open, admitted_in) = (self.open_queues.queue(performance), admitted_in.get(&performance).copied());
            let renewed = self.renew(performance, &replica, &mut renewal, open, admitted_in).await;
            outcome = outcome.and(renewed.map(drop));
        }
        outcome
    }

    /// Reports who is present on this instance. Who asked and could not be reported is reported the next time.
    pub async fn report_present(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, replica) in self.watched() {
            let Some(open) = self.open_queues.queue(performance) else { continue };
            let Some(epoch) = replica.latest().and_then(|view| Some(view.snapshot.as_ref()?.epoch)) else { continue };
            let payloads = replica.present.take_report(epoch);
            if payloads.is_empty() {
                continue;
            }
            let presence = Presence { now: self.clock.now(), grace: open.queue.settings.grace };
            let reported = self.report(performance, &payloads, presence).await;
            if reported.is_err() {
                replica.present.put_back(&payloads);
            }
            outcome = outcome.and(reported);
        }
        outcome
    }

    async fn report(
        &self,
        performance: PerformanceId,
        payloads: &[QueueTokenPayload],
        presence: Presence,
    ) -> Result<(), AppError> {
        let drawn = self.recovery.knows_draw(performance);
        let numbers: Vec<LaneNumber> =
            payloads.iter().map(|payload| self.recovery.token(payload).lane_number()).collect();
        match self.queues.report_present(performance, &numbers, drawn, presence).await {
            // A lost queue is put in place by the next tick; showing a token is being seen.
            Ok(()) | Err(PortError::Refused(QueueLost)) => Ok(()),
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    fn replica(&self, performance: PerformanceId) -> Arc<Replica> {
        let mut replicas = lock(&self.replicas);
        Arc::clone(replicas.entry(performance).or_insert_with(|| Arc::new(Replica::new(performance))))
    }

    fn watched(&self) -> Vec<(PerformanceId, Arc<Replica>)> {
        let mut replicas = lock(&self.replicas);
        // A replica that only this map knows, and that has nothing to report, can go.
        replicas.retain(|_, replica| Arc::strong_count(replica) > 1 || !replica.present.is_empty());
        replicas.iter().map(|(performance, replica)| (*performance, Arc::clone(replica))).collect()
    }

    /// A view that is fresh and knows the queue token, or was read after it was asked for.
    async fn view(&self, payload: &QueueTokenPayload, replica: &Replica) -> Result<Arc<QueueView>, AppError> {
        let asked_at = Instant::now();
        let good =
            |view: &Arc<QueueView>| view.read_at.elapsed() < STALE_AFTER && view.knows(&self.recovery.token(payload));
        if let Some(view) = replica.latest().filter(good) {
            return Ok(view);
        }
        let mut renewal = replica.renewing.lock().await;
        if let Some(view) = replica.latest().filter(|view| view.read_at >= asked_at || good(view)) {
            return Ok(view);
        }
        let open = self.open_queues.queue_now(payload.performance).await?;
        self.renew(payload.performance, replica, &mut renewal, open, None).await
    }

    async fn renew(
        &self,
        performance: PerformanceId,
        replica: &Replica,
        renewal: &mut Renewal,
        open: Option<OpenQueue>,
        admitted_in: Option<Duration>,
    ) -> Result<Arc<QueueView>, AppError> {
        let (observed_at, read_at) = (self.clock.now(), Instant::now());
        let snapshot = self.shown(performance, replica, renewal, open.as_ref()).await?;
        let stock = self.seat_map.stock(&[performance]).await?.first().copied().unwrap_or_default();
        if let Some(snapshot) = &snapshot {
            renewal.meters.resize_with(snapshot.lanes.len(), AdmissionMeter::default);
            for (meter, lane) in renewal.meters.iter_mut().zip(&snapshot.lanes) {
                meter.note(observed_at, lane.called);
            }
        }
        let message = open.as_ref().and_then(|open| open.queue.settings.message.clone()).map(Arc::new);
        let meters = renewal.meters.clone();
        let tick = admitted_in.map(|admitted_in| admitted_in + read_at.elapsed());
        let view = Arc::new(QueueView { observed_at, read_at, snapshot, open, stock, meters, message, tick });
        replica.publish(Arc::clone(&view));
        Ok(view)
    }

    /// A copy of the queue in which everybody here is seen: where it was put in place since they were shown last, they are shown
    /// before anybody reads the copy.
    async fn shown(
        &self,
        performance: PerformanceId,
        replica: &Replica,
        renewal: &mut Renewal,
        open: Option<&OpenQueue>,
    ) -> Result<Option<QueueSnapshot>, AppError> {
        let Some(snapshot) = self.recovery.snapshot(performance).await? else { return Ok(None) };
        self.recovery.learn(performance, open.and_then(OpenQueue::draw_key), &snapshot);
        let placed_at = Some(snapshot.restored_at);
        let Some(open) = open.filter(|_| renewal.shown_to != placed_at) else { return Ok(Some(snapshot)) };
        let payloads = replica.present.payloads(snapshot.epoch);
        if payloads.is_empty() {
            renewal.shown_to = placed_at;
            return Ok(Some(snapshot));
        }
        let presence = Presence { now: self.clock.now(), grace: open.queue.settings.grace };
        self.recovery.show(performance, &payloads, presence).await?;
        renewal.shown_to = placed_at;
        self.recovery.snapshot(performance).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
