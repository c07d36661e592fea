//! Which fans of a queue are present on this instance: their stream is open here, or they asked here since the last report.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;

use crate::error::WaitingRoomError;

/// How many streams a fan may have open on an instance: a few devices, and reconnections before the old stream is closed.
const STREAMS_PER_FAN_MAX: u16 = 8;

/// Which token of a queue it is. The same index of another epoch or lane is another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TokenKey {
    epoch: i64,
    lane: u8,
    index: u64,
}

#[derive(Clone, Copy)]
struct PresentFan {
    user: UserId,
    issued_at: Timestamp,
    needs_accessible: bool,
    /// How many are open. A fan with none asked, or closed the last one, since the last report, and is removed by the next.
    streams: u16,
    admitted_until: Option<Timestamp>,
}

/// The present fans of one queue.
pub(crate) struct PresentFans {
    pub(crate) performance: PerformanceId,
    fans: Mutex<HashMap<TokenKey, PresentFan>>,
}

impl PresentFans {
    pub(crate) fn new(performance: PerformanceId) -> Self {
        Self { performance, fans: Mutex::default() }
    }

    /// Counts a stream that is opened. Refused if the fan has [`STREAMS_PER_FAN_MAX`] open.
    pub(crate) fn open_stream(&self, payload: &QueueTokenPayload) -> Result<(), WaitingRoomError> {
        let mut fans = self.lock();
        let fan = fans.entry(key(payload)).or_insert_with(|| without_stream(payload));
        if fan.streams >= STREAMS_PER_FAN_MAX {
            return Err(WaitingRoomError::TooManyStreams);
        }
        fan.streams += 1;
        fan.admitted_until = fan.admitted_until.max(payload.admitted_until);
        Ok(())
    }

    /// Counts a stream that is closed. The fan stays present until the next report.
    pub(crate) fn close_stream(&self, payload: &QueueTokenPayload) {
        if let Some(fan) = self.lock().get_mut(&key(payload)) {
            fan.streams = fan.streams.saturating_sub(1);
        }
    }

    /// Notes that a fan asked without a stream. The fan is present until the next report.
    pub(crate) fn note_request(&self, payload: &QueueTokenPayload) {
        self.lock().entry(key(payload)).or_insert_with(|| without_stream(payload));
    }

    /// Notes that a fan was admitted. The fan's payload says so from now on.
    pub(crate) fn note_admission(&self, payload: &QueueTokenPayload, until: Timestamp) {
        if let Some(fan) = self.lock().get_mut(&key(payload)) {
            fan.admitted_until = Some(until);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The payloads of the present fans, of one epoch of the queue.
    pub(crate) fn payloads(&self, epoch: i64) -> Vec<QueueTokenPayload> {
        let performance = self.performance;
        let payload = |(key, fan): (&TokenKey, &PresentFan)| QueueTokenPayload {
            performance,
            user: fan.user,
            epoch: key.epoch,
            lane: key.lane,
            index: key.index,
            issued_at: fan.issued_at,
            needs_accessible: fan.needs_accessible,
            admitted_until: fan.admitted_until,
        };
        self.lock().iter().filter(|(key, _)| key.epoch == epoch).map(payload).collect()
    }

    /// The fans to report, of one epoch of the queue. Fans without an open stream are removed.
    pub(crate) fn take_report(&self, epoch: i64) -> PresenceReport<'_> {
        let payloads = self.payloads(epoch);
        let mut fans = self.lock();
        fans.retain(|_, fan| fan.streams > 0);
        // Gives back the memory of fans who have gone.
        if fans.capacity() > 4 * fans.len() {
            fans.shrink_to_fit();
        }
        drop(fans);
        PresenceReport { fans: self, payloads }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenKey, PresentFan>> {
        self.fans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fans to report as present. Unless it is delivered, the next report includes them.
pub(crate) struct PresenceReport<'f> {
    fans: &'f PresentFans,
    payloads: Vec<QueueTokenPayload>,
}

impl PresenceReport<'_> {
    pub(crate) fn payloads(&self) -> &[QueueTokenPayload] {
        &self.payloads
    }

    /// The fans were reported.
    pub(crate) fn delivered(mut self) {
        self.payloads.clear();
    }
}

impl Drop for PresenceReport<'_> {
    fn drop(&mut self) {
        let mut fans = self.fans.lock();
        for payload in &self.payloads {
            fans.entry(key(payload)).or_insert_with(|| without_stream(payload));
        }
    }
}

fn key(payload: &QueueTokenPayload) -> TokenKey {
    TokenKey { epoch: payload.epoch, lane: payload.lane, index: payload.index }
}

fn without_stream(payload: &QueueTokenPayload) -> PresentFan {
    let QueueTokenPayload { user, issued_at, needs_accessible, admitted_until, .. } = *payload;
    PresentFan { user, issued_at, needs_accessible, streams: 0, admitted_until }
}
