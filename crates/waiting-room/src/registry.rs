//! The replicas of this instance: one per queue that is read here, renewed once a tick, however many fans read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::queue::snapshot::QueueSnapshot;
use tokio::time::Instant;

use crate::error::WaitingRoomError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::recovery::Recovery;
use crate::replica::{Renewal, Replica, Watcher};
use crate::stock::Stock;
use crate::view::{HeldBack, QueueView};

/// How often queues admit and replicas are renewed.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// A view this old is renewed before a call is answered from it: two ticks, so that one late tick renews nothing twice.
const STALE_AFTER: Duration = Duration::from_millis(200);

/// The replicas of all queues that are read on this instance.
pub(crate) struct ReplicaRegistry {
    recovery: Arc<Recovery>,
    open_queues: Arc<OpenQueues>,
    stock: Arc<dyn Stock>,
    clock: Arc<dyn Clock>,
    replicas: Mutex<HashMap<PerformanceId, Arc<Replica>>>,
    /// How long the last tick's admission took, by queue.
    admitted_in: Mutex<HashMap<PerformanceId, Duration>>,
}

impl ReplicaRegistry {
    pub(crate) fn new(
        recovery: Arc<Recovery>,
        open_queues: Arc<OpenQueues>,
        stock: Arc<dyn Stock>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { recovery, open_queues, stock, clock, replicas: Mutex::default(), admitted_in: Mutex::default() }
    }

    /// Opens a stream for a fan, who is present from now on.
    pub(crate) async fn watch(&self, payload: &QueueTokenPayload) -> Result<Watcher, WaitingRoomError> {
        let replica = self.replica(payload.performance);
        self.view(payload, &replica).await?;
        Watcher::open(replica, *payload)
    }

    /// A view for a fan, at most [`STALE_AFTER`] old. The fan is present.
    pub(crate) async fn view_for(&self, payload: &QueueTokenPayload) -> Result<Arc<QueueView>, WaitingRoomError> {
        let replica = self.replica(payload.performance);
        replica.present.note_request(payload);
        self.view(payload, &replica).await
    }

    /// A view for a caller without a token, at most [`STALE_AFTER`] old.
    pub(crate) async fn view_of(&self, performance: PerformanceId) -> Result<Arc<QueueView>, WaitingRoomError> {
        let replica = self.replica(performance);
        let is_fresh = |view: &Arc<QueueView>| view.read_at.elapsed() < STALE_AFTER;
        if let Some(view) = replica.latest().filter(is_fresh) {
            return Ok(view);
        }
        let mut renewal = replica.renewing.lock().await;
        if let Some(view) = replica.latest().filter(is_fresh) {
            return Ok(view);
        }
        let open = self.open_queues.find_now(performance).await?;
        self.renew(performance, &replica, &mut renewal, open).await
    }

    /// A view that is read after this call.
    pub(crate) async fn renewed_view(&self, performance: PerformanceId) -> Result<Arc<QueueView>, WaitingRoomError> {
        let replica = self.replica(performance);
        let mut renewal = replica.renewing.lock().await;
        let open = self.open_queues.find_now(performance).await?;
        self.renew(performance, &replica, &mut renewal, open).await
    }

    /// Notes how long this tick's admission took.
    pub(crate) fn note_admission(&self, performance: PerformanceId, took: Duration) {
        self.admissions().insert(performance, took);
    }

    /// Forgets the admissions of the other queues.
    pub(crate) fn keep_admissions(&self, of: impl Fn(PerformanceId) -> bool) {
        self.admissions().retain(|performance, _| of(*performance));
    }

    /// Renews a replica after this tick's admission.
    pub(crate) async fn renew_ticked(&self, replica: &Replica) -> Result<(), WaitingRoomError> {
        let performance = replica.performance();
        let mut renewal = replica.renewing.lock().await;
        let open = self.open_queues.find(performance);
        self.renew(performance, replica, &mut renewal, open).await.map(drop)
    }

    /// Reports the present fans of an open queue. Fans whose report fails, or is given up, are in the next report.
    pub(crate) async fn report_present(&self, replica: &Replica, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        let epoch = replica.latest().and_then(|view| Some(view.snapshot.as_ref()?.epoch));
        let Some(epoch) = epoch else { return Ok(()) };
        let report = replica.present.take_report(epoch);
        if !report.payloads().is_empty() {
            self.recovery.report_present(open, report.payloads()).await?;
        }
        report.delivered();
        Ok(())
    }

    fn replica(&self, performance: PerformanceId) -> Arc<Replica> {
        let mut replicas = self.lock();
        Arc::clone(replicas.entry(performance).or_insert_with(|| Arc::new(Replica::new(performance))))
    }

    /// The replicas that somebody reads, or that have somebody to report. Drops the others.
    pub(crate) fn in_use(&self) -> Vec<(PerformanceId, Arc<Replica>)> {
        let mut replicas = self.lock();
        // Nobody reads a replica that only this map holds. If it has nobody to report either, it can go.
        replicas.retain(|_, replica| Arc::strong_count(replica) > 1 || !replica.present.is_empty());
        replicas.iter().map(|(performance, replica)| (*performance, Arc::clone(replica))).collect()
    }

    /// A view that is fresh and knows the token, or was read after this call.
    async fn view(&self, payload: &QueueTokenPayload, replica: &Replica) -> Result<Arc<QueueView>, WaitingRoomError> {
        let asked_at = Instant::now();
        let is_good =
            |view: &Arc<QueueView>| view.read_at.elapsed() < STALE_AFTER && view.knows(&self.recovery.token(payload));
        if let Some(view) = replica.latest().filter(is_good) {
            return Ok(view);
        }
        let mut renewal = replica.renewing.lock().await;
        if let Some(view) = replica.latest().filter(|view| view.read_at >= asked_at || is_good(view)) {
            return Ok(view);
        }
        let open = self.open_queues.find_now(payload.performance).await?;
        self.renew(payload.performance, replica, &mut renewal, open).await
    }

    async fn renew(
        &self,
        performance: PerformanceId,
        replica: &Replica,
        renewal: &mut Renewal,
        open: Option<OpenQueue>,
    ) -> Result<Arc<QueueView>, WaitingRoomError> {
        let (observed_at, read_at) = (self.clock.now(), Instant::now());
        let snapshot = self.snapshot(performance, replica, renewal, open.as_ref()).await?;
        let stock = self.stock.stock(performance).await?;
        let message = open.as_ref().and_then(|open| open.queue.settings.message.clone()).map(Arc::new);
        let call_rate = snapshot.as_ref().zip(open.as_ref());
        let call_rate = call_rate.map(|(snapshot, open)| snapshot.call_rate(&open.queue.settings, observed_at));
        let call_rate = call_rate.unwrap_or_default();
        let held_back = snapshot.as_ref().map(|snapshot| HeldBack::new(snapshot, stock, observed_at));
        let held_back = held_back.unwrap_or_default();
        let admitted_in = self.admissions().get(&performance).copied();
        let tick = admitted_in.map(|admitted_in| admitted_in + read_at.elapsed());
        let view =
            Arc::new(QueueView { observed_at, read_at, snapshot, open, stock, call_rate, held_back, message, tick });
        replica.publish(Arc::clone(&view));
        Ok(view)
    }

    /// A copy of the queue to which the tokens of all present fans were shown. If the queue was restored since they were shown last,
    /// they are shown first: before that their positions are wrong.
    async fn snapshot(
        &self,
        performance: PerformanceId,
        replica: &Replica,
        renewal: &mut Renewal,
        open: Option<&OpenQueue>,
    ) -> Result<Option<QueueSnapshot>, WaitingRoomError> {
        let Some(snapshot) = self.recovery.snapshot(performance).await? else { return Ok(None) };
        self.recovery.learn(performance, open, &snapshot);
        let restored_at = Some(snapshot.restored_at);
        let Some(open) = open.filter(|_| renewal.shown_to != restored_at) else { return Ok(Some(snapshot)) };
        let payloads = replica.present.payloads(snapshot.epoch);
        if payloads.is_empty() {
            renewal.shown_to = restored_at;
            return Ok(Some(snapshot));
        }
        self.recovery.show(open, &payloads).await?;
        renewal.shown_to = restored_at;
        let shown = self.recovery.snapshot(performance).await?;
        // The numbers may have been drawn since the first copy.
        if let Some(snapshot) = &shown {
            self.recovery.learn(performance, Some(open), snapshot);
        }
        Ok(shown)
    }

    fn admissions(&self) -> MutexGuard<'_, HashMap<PerformanceId, Duration>> {
        self.admitted_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PerformanceId, Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
