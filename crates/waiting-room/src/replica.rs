//! The replica of one queue: the latest view, and the fans who read it.

use std::sync::Arc;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;
use tokio::sync::watch;

use crate::error::WaitingRoomError;
use crate::presence::PresentFans;
use crate::view::{Notice, QueueView};

/// The replica of a queue on this instance.
pub(crate) struct Replica {
    views: watch::Sender<Option<Arc<QueueView>>>,
    notices: watch::Sender<Notice>,
    pub(crate) present: PresentFans,
    /// Held while the view is renewed, so that many readers of a stale view cause one renewal.
    pub(crate) renewing: tokio::sync::Mutex<Renewal>,
}

/// What is kept from one renewal to the next.
#[derive(Default)]
pub(crate) struct Renewal {
    /// The restoration of the queue to which the tokens of the present fans were shown.
    pub(crate) shown_to: Option<Timestamp>,
}

impl Replica {
    pub(crate) fn new(performance: PerformanceId) -> Self {
        Self {
            views: watch::Sender::new(None),
            notices: watch::Sender::default(),
            present: PresentFans::new(performance),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// The performance of the queue.
    pub(crate) fn performance(&self) -> PerformanceId {
        self.present.performance
    }

    pub(crate) fn latest(&self) -> Option<Arc<QueueView>> {
        self.views.borrow().clone()
    }

    /// Makes a view the latest, and sends it to the watchers.
    pub(crate) fn publish(&self, view: Arc<QueueView>) {
        let notice = view.notice();
        self.views.send_replace(Some(view));
        self.notices.send_if_modified(|before| {
            let changes = *before != notice;
            *before = notice;
            changes
        });
    }
}

/// An open stream on a replica. Its fan is present until it is dropped.
pub(crate) struct Watcher {
    replica: Arc<Replica>,
    payload: QueueTokenPayload,
    /// Changes with every view.
    pub(crate) views: watch::Receiver<Option<Arc<QueueView>>>,
    /// Changes only when every fan has to be sent the change at once.
    pub(crate) notices: watch::Receiver<Notice>,
}

impl Watcher {
    /// Opens a stream, unless the fan has too many open.
    pub(crate) fn open(replica: Arc<Replica>, payload: QueueTokenPayload) -> Result<Self, WaitingRoomError> {
        replica.present.open_stream(&payload)?;
        let (views, notices) = (replica.views.subscribe(), replica.notices.subscribe());
        Ok(Self { replica, payload, views, notices })
    }

    /// What the fan's queue token says.
    pub(crate) fn payload(&self) -> &QueueTokenPayload {
        &self.payload
    }

    /// Notes that the fan was admitted. The fan's payload says so from now on.
    pub(crate) fn note_admission(&mut self, until: Timestamp) {
        self.payload.admitted_until = Some(until);
        self.replica.present.note_admission(&self.payload, until);
    }

    /// How many fans of the queue are present on this instance.
    pub(crate) fn fans(&self) -> usize {
        self.replica.present.count()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.replica.present.close_stream(&self.payload);
    }
}
