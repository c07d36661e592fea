//! Who is here: the fans whose streams are open on this instance, and those who asked a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;

use crate::error::AppError;

/// How many streams one fan may have open on an instance: a few devices, and reconnections that crossed.
const STREAMS_PER_FAN_MAX: u16 = 8;

/// A queue token of one queue, without what it says besides: the same index of another run or lane is another fan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Unit {
    epoch: i64,
    lane: u8,
    index: u64,
}

#[derive(Clone, Copy)]
struct Guest {
    user: UserId,
    /// 0 where the fan asked, or was here, since the last report; such a guest is forgotten with the next report.
    streams: u16,
    admitted_until: Option<Timestamp>,
}

/// The fans of one queue who are here.
pub(crate) struct Presences {
    performance: PerformanceId,
    guests: Mutex<HashMap<Unit, Guest>>,
}

impl Presences {
    pub(crate) fn new(performance: PerformanceId) -> Self {
        Self { performance, guests: Mutex::default() }
    }

    /// A stream is opened.
    pub(crate) fn come(&self, payload: &QueueTokenPayload) -> Result<(), AppError> {
        let mut guests = self.lock();
        let guest = guests.entry(unit(payload)).or_insert_with(|| guest(payload));
        if guest.streams >= STREAMS_PER_FAN_MAX {
            return Err(AppError::Overloaded);
        }
        guest.streams += 1;
        guest.admitted_until = guest.admitted_until.max(payload.admitted_until);
        Ok(())
    }

    /// A stream is closed. Until the next report the fan still counts as seen.
    pub(crate) fn go(&self, payload: &QueueTokenPayload) {
        if let Some(guest) = self.lock().get_mut(&unit(payload)) {
            guest.streams = guest.streams.saturating_sub(1);
        }
    }

    /// A fan asked.
    pub(crate) fn ask(&self, payload: &QueueTokenPayload) {
        self.lock().entry(unit(payload)).or_insert_with(|| guest(payload));
    }

    /// A fan was admitted: what the fan's queue token says from now on.
    pub(crate) fn admitted(&self, payload: &QueueTokenPayload, until: Timestamp) {
        if let Some(guest) = self.lock().get_mut(&unit(payload)) {
            guest.admitted_until = Some(until);
        }
    }

    /// Whether there is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many are here.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The queue tokens of those who are here, of one run of the queue.
    pub(crate) fn payloads(&self, epoch: i64) -> Vec<QueueTokenPayload> {
        let performance = self.performance;
        let payload = |(unit, guest): (&Unit, &Guest)| QueueTokenPayload {
            performance,
            user: guest.user,
            epoch: unit.epoch,
            lane: unit.lane,
            index: unit.index,
            admitted_until: guest.admitted_until,
        };
        self.lock().iter().filter(|(unit, _)| unit.epoch == epoch).map(payload).collect()
    }

    /// Those who are here, and forgets the ones who only asked: after this they are reported.
    pub(crate) fn take_report(&self, epoch: i64) -> Vec<QueueTokenPayload> {
        let payloads = self.payloads(epoch);
        let mut guests = self.lock();
        guests.retain(|_, guest| guest.streams > 0);
        // A crowd that has gone must not keep its room.
        if guests.capacity() > 4 * guests.len() {
            guests.shrink_to_fit();
        }
        payloads
    }

    /// What was taken could not be reported: it is reported the next time.
    pub(crate) fn put_back(&self, payloads: &[QueueTokenPayload]) {
        let mut guests = self.lock();
        for payload in payloads {
            guests.entry(unit(payload)).or_insert_with(|| guest(payload));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Unit, Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unit(payload: &QueueTokenPayload) -> Unit {
    Unit { epoch: payload.epoch, lane: payload.lane, index: payload.index }
}

fn guest(payload: &QueueTokenPayload) -> Guest {
    Guest { user: payload.user, streams: 0, admitted_until: payload.admitted_until }
}
